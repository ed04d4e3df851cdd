"""Adam as files describe it, against its formula."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.estimators.score_function import Reinforce
from jaxdiscrete.experiments.tasks.toy.settings import Settings
from jaxdiscrete.experiments.training.optimizer import apply_gradients, make_optimizer
from jaxdiscrete.experiments.training.settings import Config, Optimizer

GRADIENTS = ([1.0, -2.0], [3.0, 0.5], [-1.0, 0.25])


def by_formula(first_count, epsilon, rate=1e-3, b1=0.9, b2=0.999):
    """Parameters after every gradient, in double precision."""
    x = mean = square = np.zeros(2)
    for t, g in enumerate(np.array(GRADIENTS), first_count + 1):
        mean, square = b1 * mean + (1 - b1) * g, b2 * square + (1 - b2) * g * g
        root = np.sqrt(square / (1 - b2**t))
        x = x - rate * mean / (1 - b1**t) / (root + epsilon)
        yield x


@pytest.mark.parametrize("count", [0, 30_000])
def test_adam_counts_from_where_it_is_told_for_the_model_alone(count):
    settings = Optimizer(epsilon=1e-2, adam_count=count)
    optimizer = make_optimizer(
        Config(model=Settings(), estimator=Reinforce(), optimizer=settings)
    )
    params = {
        "model": jnp.zeros(2),
        "control_variate": {"layer_0": {"b": jnp.zeros(2)}},
    }
    state = optimizer.init(params)
    expected = zip(by_formula(count, 1e-2), by_formula(0, 1e-2), strict=True)
    for g, (of_model, of_cv) in zip(GRADIENTS, expected, strict=True):
        g = jnp.array(g)
        grads = {"model": g, "control_variate": {"layer_0": {"b": g}}}
        params, state = apply_gradients(optimizer, grads, state, params)
        np.testing.assert_allclose(params["model"], of_model, rtol=1e-4)
        cv = params["control_variate"]["layer_0"]["b"]
        np.testing.assert_allclose(cv, of_cv, rtol=1e-4)


def test_a_late_count_makes_the_first_steps_longer():
    """By sqrt(1 - b2) / (1 - b1) less: 0.1 / 0.0316 of the rate where there is none."""
    first, *_ = by_formula(30_000, 0.0)
    np.testing.assert_allclose(np.abs(first), 1e-3 * 0.1 / np.sqrt(0.001), rtol=1e-6)
