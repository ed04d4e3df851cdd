"""The variance of gradients along a run, and values that are not finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.errors import RunError
from jaxdiscrete.experiments.training.state import (
    VARIANCE_DECAY,
    Moments,
    check_finite,
    init_moments,
    log_variance,
    update_moments,
)
from tests.experiments.training.problems import make, one_block
from tests.helpers.trees import assert_close


def test_log_variance_of_a_known_history():
    """The bias-corrected moments of a history, entry by entry, in float64."""
    rng = np.random.default_rng(0)
    history = {"a": rng.normal(1.0, 2.0, (50, 2, 3)), "b": rng.normal(0, 0.1, (50, 4))}
    weights = (1 - VARIANCE_DECAY) * VARIANCE_DECAY ** np.arange(49, -1, -1)
    weights /= 1 - VARIANCE_DECAY**50
    entries = np.concatenate([h.reshape(50, -1) for h in history.values()], axis=1)
    mean = weights @ entries
    variance = (weights @ entries**2 - mean**2).mean()

    def step(moments, gradient):
        return update_moments(moments, gradient), None

    first = init_moments({"a": jnp.zeros((2, 3)), "b": jnp.zeros(4)})
    moments, _ = jax.lax.scan(step, first, jax.tree.map(jnp.float32, history))
    got = log_variance(moments, jnp.asarray(50))
    assert float(got) == pytest.approx(np.log(variance), rel=1e-3)
    of_a = log_variance(
        Moments(moments.mean["a"], moments.square["a"]), jnp.asarray(50)
    )
    assert float(of_a) > float(got)


def test_log_variance_of_one_gradient_is_finite():
    moments = update_moments(init_moments(jnp.zeros(3)), jnp.arange(3.0))
    assert np.isfinite(log_variance(moments, jnp.asarray(1)))


@pytest.mark.thorough
def test_the_encoders_variance_is_measured_apart():
    state, _, metrics = one_block(make())
    encoder = Moments(*(m["encoder"] for m in state.moments))
    assert_close(metrics["log_variance"], log_variance(state.moments, state.step))
    assert_close(metrics["encoder_log_variance"], log_variance(encoder, state.step))
    assert metrics["log_variance"] != metrics["encoder_log_variance"]


def test_the_first_value_that_is_not_finite_is_named():
    fine, bad = jnp.zeros(3), jnp.array([0.0, jnp.inf, jnp.nan])
    check_finite(10, {"loss": fine}, "")
    message = r"got model gradient = inf at step 11\. Do this\."
    with pytest.raises(RunError, match=message):
        check_finite(
            10, {"loss": fine.at[2].set(jnp.nan), "model gradient": bad}, "Do this."
        )
    with pytest.raises(RunError, match=r"got train_elbo = nan at step 30"):
        check_finite(30, {"train_elbo": jnp.asarray(jnp.nan)}, "")
