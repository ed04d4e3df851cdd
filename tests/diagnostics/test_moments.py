"""Moments that are merged."""

import numpy as np

from jaxdiscrete.diagnostics.moments import NO_MOMENTS, merge


def test_merged_moments_are_those_of_all_rows():
    """Also where the mean is a million standard deviations."""
    rows = np.random.default_rng(0).normal(1e6, 1.0, (1000, 3))
    moments = NO_MOMENTS
    for part in np.split(rows, [1, 10, 400]):
        moments = merge(moments, part)
    assert moments.num_rows == 1000
    np.testing.assert_allclose(moments.mean, rows.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(moments.variance, rows.var(axis=0, ddof=1), rtol=1e-8)
    assert moments.largest == np.abs(rows).max()
