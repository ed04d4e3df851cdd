"""Statistics over seeds."""

import numpy as np
import pytest

from jaxdiscrete.experiments.output.records import (
    Band,
    Curves,
    Statistic,
    at_step,
    make_band,
    summarise,
)


def test_means_and_standard_errors():
    values = [1.0, 2.0, 4.0, 7.0]
    got = summarise(values)
    assert got.mean == 3.5
    assert got.standard_error == pytest.approx(np.std(values, ddof=1) / 2)
    assert got.values == tuple(values)
    assert summarise([3.0]) == Statistic(3.0, None, (3.0,))
    # Far from zero the two-pass formula keeps what a sum of squares would lose.
    far = summarise([1e9 + v for v in values])
    assert far.standard_error == pytest.approx(got.standard_error)


def test_a_band_has_errors_where_all_its_points_have():
    two, one = summarise([1.0, 3.0]), summarise([5.0])
    assert make_band([two, two]) == Band((2.0, 2.0), (1.0, 1.0))
    assert make_band([two, one]) == Band((2.0, 5.0), None)


def test_a_metric_at_a_step_is_that_of_the_band():
    points = [summarise([1.0, 3.0]), summarise([5.0, 5.0])]
    curves = Curves((10, 20), {"loss": make_band(points)})
    assert at_step(curves, "loss", 10) == Statistic(2.0, 1.0, ())
    assert at_step(curves, "loss", 20) == Statistic(5.0, 0.0, ())
    assert at_step(curves, "loss", 15) is None
    assert at_step(curves, "theta", 10) is None
    one = Curves((10,), {"loss": make_band([summarise([1.0])])})
    assert at_step(one, "loss", 10) == Statistic(1.0, None, ())
