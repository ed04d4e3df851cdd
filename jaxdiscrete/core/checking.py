"""The mark of a function that is traced for a check only, and never computed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import jax

# A context of JAX, so that what it caches of a jitted f while a check looks at it is
# not what it uses afterwards.
_checking = jax.make_user_context(False)


def is_checking() -> bool:
    """Tells whether f is traced for a check, so that no gradient of it is wanted."""
    return bool(_checking.value)


def is_staged() -> bool:
    """Tells whether what is computed here becomes part of a program, and runs later.

    Whatever is wrong with f is then found while the program is made, before any
    compute.
    """
    return isinstance(jax.lax.add(0.0, 0.0), jax.core.Tracer)


@contextlib.contextmanager
def checking() -> Iterator[None]:
    """Estimators inside f then check nothing again, and make no control variate.

    The check of an outer estimator runs whatever the inner ones would check. Without
    this, d nested estimators would call the innermost f 2^d times.
    """
    with _checking(True):
        yield
