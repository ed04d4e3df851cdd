"""The optimal baseline of the other samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.trees import assert_close
from tests.multi_sample.problems import KEY, Q, f, variance


@pytest.mark.thorough
def test_leave_one_out_and_optimal_baseline_are_below_reinforce():
    plain = variance(jd.monte_carlo(jd.reinforce(f), num_repeats=4))
    for transform in (jd.reinforce_loo, jd.reinforce_optimal_baseline):
        assert variance(transform(f, num_samples=4)) < 0.5 * plain


def test_optimal_baseline_is_the_leave_one_out_ratio_of_its_docstring():
    estimate = jd.reinforce_optimal_baseline(
        lambda z: (f(z), z), num_samples=4, has_aux=True
    )
    (_, z), gradient = jax.jit(jax.value_and_grad(estimate, 1, has_aux=True))(KEY, Q)
    values = np.asarray(jax.jit(jax.vmap(f))(z), np.float64)
    scores = np.asarray(z, np.float64) - np.asarray(Q.mean(), np.float64)
    weights = (scores**2).sum(axis=1)
    expected = np.zeros(3)
    for k in range(4):
        rest = [j for j in range(4) if j != k]
        c = (values * weights)[rest].sum() / weights[rest].sum()
        expected += (values[k] - c) * scores[k] / 4
    assert_close(gradient.logits, expected, rtol=1e-4)


@pytest.mark.thorough
def test_equal_values_have_no_gradient():
    constant = lambda z: jnp.float32(1e6 + 0.1) + 0.0 * z.sum()  # noqa: E731
    estimate = jd.reinforce_optimal_baseline(constant, num_samples=4)
    gradient = jax.vmap(jax.grad(estimate, 1), (0, None))(jax.random.split(KEY, 10), Q)
    assert not gradient.logits.any()


def test_zero_scores_fall_back_to_the_mean_of_the_others():
    q = jd.Bernoulli(jnp.array([1e4]))
    estimate = jd.reinforce_optimal_baseline(lambda z: z[0], num_samples=3)
    gradient = jax.jit(jax.grad(estimate, 1))(KEY, q)
    assert bool(jnp.all(gradient.logits == 0.0))
