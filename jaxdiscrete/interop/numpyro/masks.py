"""Distributions of NumPyro without their masks."""

from __future__ import annotations

from typing import Any

from numpyro.distributions import (
    ExpandedDistribution,
    Independent,
    MaskedDistribution,
)


def unmasked(fn: Any) -> Any:
    """A distribution without its masks, which samples do not heed.

    Args:
      fn: a distribution of NumPyro.

    Returns:
      The same one if there is no mask.
    """
    if isinstance(fn, MaskedDistribution):
        return unmasked(fn.base_dist)
    if isinstance(fn, Independent):
        base = unmasked(fn.base_dist)
        is_same = base is fn.base_dist
        return fn if is_same else base.to_event(fn.reinterpreted_batch_ndims)
    if isinstance(fn, ExpandedDistribution):
        base = unmasked(fn.base_dist)
        return fn if base is fn.base_dist else base.expand(fn.batch_shape)
    return fn
