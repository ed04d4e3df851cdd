"""Which parameters of a test are tested every day."""

import pytest


def daily(chosen, every):
    """Parameters of a test, of which all but the chosen are thorough.

    Args:
      chosen: those that are tested every day: one for each mechanism.
      every: all of them, each a value or a tuple of values.
    """
    assert set(chosen) <= set(every)
    return [
        pytest.param(
            *(p if isinstance(p, tuple) else (p,)),
            marks=() if p in chosen else pytest.mark.thorough,
        )
        for p in every
    ]
