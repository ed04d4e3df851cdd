"""Texts of the checks that estimators share, each with its remedy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.samplers import BareSampler

KEY = jax.random.key(0)
Q = jd.Bernoulli(jnp.array([0.3, -0.8]))


def total(z):
    return jnp.sum(z)


TEMPERATURES = [0.0, -1.0, float("nan"), np.array([0.5, -0.5]), jnp.array(-0.1)]


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize(
    "transform",
    [
        lambda t: jd.rebar(total, temperature=t, scale=1.0),
        lambda t: jd.rebar(
            total, temperature=t, conditional_noise=jd.independent_noise
        ),
        lambda t: jd.relax(total, total, temperature=t),
        lambda t: jd.relax_rebar(total, total, temperature=t),
        lambda t: jd.gumbel_softmax(total, temperature=t),
        lambda t: jd.straight_through_gumbel_softmax(total, temperature=t),
        lambda t: jd.decoupled_straight_through(
            total, forward_temperature=t, backward_temperature=1.0
        ),
        lambda t: jd.decoupled_straight_through(
            total, forward_temperature=1.0, backward_temperature=t
        ),
        lambda t: jd.gapped_straight_through(total, temperature=t),
        lambda t: jd.gumbel_rao(total, temperature=t, num_noise=2),
        lambda t: jd.reinmax(total, temperature=t),
        lambda t: jd.sample_gumbel_softmax(KEY, jnp.zeros(2), t),
    ],
)
def test_temperature_must_be_positive(transform, temperature, no_compute):
    match = r"(?s)Expected \w*temperature > 0, got .*jnp.exp\(log_temperature\)"
    with pytest.raises(ValueError, match=match):
        transform(temperature)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (jnp.ones(3), r"latent's shape \(2,\), got shape \(3,\).*one entry per latent"),
        ({"a": 1.0}, "pytree of q's structure"),
    ],
)
def test_temperature_and_scale_must_fit_the_latents(given, match, no_compute):
    for bad in (
        {"temperature": given, "scale": 1.0},
        {"temperature": 1.0, "scale": given},
    ):
        with pytest.raises(ValueError, match=match):
            jd.rebar(total, **bad)(KEY, Q)
    with pytest.raises(ValueError, match=match):
        jd.muprop(total, linear_scale=given)(KEY, Q)


@pytest.mark.parametrize(
    "transform",
    [
        lambda b: jd.reinforce(total, baseline=b),
        lambda b: jd.nvil(total, baseline=b),
        lambda b: jd.nvil(total, baseline=0.0, centre=b),
        lambda b: jd.muprop(total, baseline=b),
        lambda b: jd.rebar(total, temperature=1.0, scale=1.0, baseline=b),
        lambda b: jd.relax(total, total, temperature=1.0, baseline=b),
        lambda b: jd.control_variate(
            total, total, lambda q: q.mean().sum(), baseline=b
        ),
    ],
)
def test_baseline_must_be_one_scalar(transform, no_compute):
    match = r"(baseline|centre) to return one real scalar, got shape \(2,\)"
    with pytest.raises(ValueError, match=match):
        transform(jnp.zeros(2))(KEY, Q)
    with pytest.raises(ValueError, match=match):
        transform(lambda: jnp.zeros(2))(KEY, Q)


def test_a_baseline_trained_by_variance_refuses_a_bare_sampler(no_compute):
    def loss(b, baseline_of):
        estimate = jd.reinforce(total, baseline=baseline_of(b))
        return estimate(KEY, BareSampler(jnp.zeros(2)))

    match = r"only log_prob\. Fit it by squared error: baseline=jaxdiscrete.least_sq"
    for baseline_of in (lambda b: b, lambda b: lambda: b):
        gradient = jax.grad(lambda b, of=baseline_of: loss(b, of))
        with pytest.raises(TypeError, match=match):
            jax.eval_shape(gradient, jnp.array(0.0))


@pytest.mark.parametrize("number", [2.0, 2, np.float32(2.0), jnp.array(2.0)])
def test_the_type_of_a_baseline_changes_nothing(number):
    def gradient(logits, baseline):
        estimate = jd.reinforce(total, baseline=baseline)
        return jax.grad(lambda x: estimate(KEY, BareSampler(x)))(logits)

    expected = gradient(Q.logits, 2.0)
    np.testing.assert_array_equal(gradient(Q.logits, number), expected)
    as_array = jnp.asarray(number, jnp.float32)
    np.testing.assert_array_equal(gradient(Q.logits, lambda: as_array), expected)


def test_has_aux_must_be_a_pair():
    with pytest.raises(TypeError, match=r"\(scalar, aux\) with has_aux=True, got"):
        jd.reinforce(total, has_aux=True)(KEY, Q)


def test_arguments_that_hide_arrays_are_refused_where_they_must_be_stopped():
    match = r"got function, which may hide arrays.*jax\.tree_util\.Partial"
    hidden = lambda z: jnp.sum(z)  # noqa: E731
    with pytest.raises(TypeError, match=match):
        jd.reinforce(lambda z, h: h(z), baseline=lambda h: 0.0)(KEY, Q, hidden)
    estimate = jd.reinforce(lambda z, h: h(z), baseline=lambda h: 0.0)
    assert bool(jnp.isfinite(estimate(KEY, Q, jax.tree_util.Partial(hidden))))


def test_none_is_named():
    for bad in (
        {"temperature": None, "scale": 1.0},
        {"temperature": 1.0, "scale": None},
    ):
        with pytest.raises(TypeError, match="to be a number or an array, got None"):
            jd.rebar(total, **bad)(KEY, Q)


def test_lists_of_logits_are_named():
    with pytest.raises(TypeError, match=r"got a list. Use jnp\.asarray"):
        jd.reinforce(total)(KEY, jd.Bernoulli([0.5, 1.0]))
