"""Strict numerics for the whole suite, on four CPU devices."""

import os

# Before JAX starts: shard_map needs devices, and it cannot get them later.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
).strip()
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "error")


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


@pytest.fixture(scope="module")
def cheap_programs():
    """For tests that compile more than they compute."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
