"""The memory that a program needs, by the compiler's own account."""

import jax


def temporary_bytes(fn, *args):
    return jax.jit(fn).lower(*args).compile().memory_analysis().temp_size_in_bytes
