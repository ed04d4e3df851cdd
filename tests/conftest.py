"""Strict numerics for the whole suite, and memory that does not grow with it."""

import ctypes
import gc
import os
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "error")
    # Another process may be writing the entry: then the program is compiled.
    config.addinivalue_line(
        "filterwarnings", "ignore:Error reading persistent compilation cache"
    )


def pytest_collection_finish() -> None:
    """What is imported lives as long as the process, and is not searched for garbage.

    Tracing makes many short-lived objects: a tenth of the time was garbage collection.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


@pytest.fixture(autouse=True)
def bounded_memory():
    """Compiled programs, about 1 MB each, are forgotten once the process is large."""
    yield
    if is_large():
        jax.clear_caches()
        gc.collect()
        if sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)


def is_large():
    """Whether this process holds 1.9 GiB; yes where that cannot be told."""
    try:
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return True
    return pages * os.sysconf("SC_PAGE_SIZE") > 1.9 * 2**30


@pytest.fixture
def x64():
    """Double precision for one test."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.fixture
def no_compute(monkeypatch):
    """Fails the test if a random bit is drawn for real."""
    original = jax.random.bits

    def guarded(key, shape=(), dtype=jnp.uint32):
        with pytest.raises(jax.errors.TracerArrayConversionError):
            np.asarray(jax.random.key_data(key))  # a real key is one of a real draw
        return original(key, shape, dtype)

    monkeypatch.setattr(jax.random, "bits", guarded)
