"""Other people's code runs as they wrote it."""

import jax
import pytest


@pytest.fixture
def their_own_promotion():
    """The strictness of the suite is for this library, not for those."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
