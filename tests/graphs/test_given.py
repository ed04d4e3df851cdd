"""Samples that were drawn elsewhere, also by another policy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.graphs.problems import gradients
from tests.helpers.parameters import daily
from tests.helpers.statistics import assert_unbiased, exact_gradient

Q = {"a": jnp.array([0.4, -0.3]), "b": jnp.array([0.5, -0.2, 0.1])}
OTHER = {"a": jnp.array([0.0, 0.3]), "b": jnp.array([0.1, 0.0, 0.3])}


def distributions(logits):
    return {"a": jd.Bernoulli(logits["a"]), "b": jd.OneHotCategorical(logits["b"])}


def f(z):
    value = (
        4.0 * z["a"][0]
        - 3.0 * z["a"][1]
        + jnp.dot(z["b"], jnp.array([5.0, -2.0, -3.0]))
    )
    return value + z["a"][0] * z["b"][0]


def surrogate(z):
    return 3.0 * jnp.sum(z["a"] ** 2) + jnp.dot(z["b"], jnp.array([4.0, 0.0, -2.0]))


def mean_of_surrogate(q):
    p = jnp.sum(q["a"].mean())
    return 3.0 * p + jnp.dot(q["b"].mean(), jnp.array([4.0, 0.0, -2.0]))


INDEPENDENT = {"conditional_noise": jd.independent_noise}
ESTIMATORS = {
    "reinforce": jd.reinforce(f, baseline=1.0),
    "nvil": jd.nvil(f, baseline=jnp.array(1.0)),
    "dice": jd.dice(f, baseline=1.0),
    "muprop": jd.muprop(f),
    "control_variate": jd.control_variate(f, surrogate, mean_of_surrogate),
    "rebar": jd.rebar(f, temperature=0.7),
    "rebar_independent": jd.rebar(f, temperature=0.7, **INDEPENDENT),
    "relax": jd.relax(f, surrogate, temperature=0.7),
    "relax_independent": jd.relax(f, surrogate, temperature=0.7, **INDEPENDENT),
}


@pytest.mark.parametrize(
    ("name", "is_off_policy"),
    daily(
        [("reinforce", True)],
        list(itertools.product(ESTIMATORS, [False, True])),
    ),
)
def test_a_given_sample(name, is_off_policy):
    def loss(logits, key):
        key_act, key_learn = jax.random.split(key)
        q = distributions(logits)
        behaviour = distributions(OTHER) if is_off_policy else jax.lax.stop_gradient(q)
        action = jd.act(key_act, behaviour)
        weight = jd.importance_weight(q, action) if is_off_policy else None
        estimate = jd.given(ESTIMATORS[name], action.z, importance_weight=weight)
        return estimate(key_learn, q)

    _, samples = gradients(loss, Q, num=200_000)
    assert_unbiased(samples, exact_gradient(f, distributions(Q)))


def test_the_value_is_f_at_the_given_sample_times_its_weight():
    q = distributions(Q)
    action = jd.act(jax.random.key(3), q)
    estimate = jd.given(jd.reinforce(f), action.z, importance_weight=0.5)
    value = jax.jit(estimate)(jax.random.key(0), q)
    np.testing.assert_allclose(value, 0.5 * f(action.z))
    with_aux = jd.given(
        jd.reinforce(lambda z: (f(z), z), has_aux=True),
        action.z,
        importance_weight=0.5,
        has_aux=True,
    )
    value, z = jax.jit(with_aux)(jax.random.key(0), q)
    np.testing.assert_allclose(value, 0.5 * f(action.z))
    np.testing.assert_array_equal(z["a"], action.z["a"])


def test_act_returns_the_log_probability():
    q = jd.Bernoulli(jnp.array(0.0))
    _, log_prob = jd.act(jax.random.key(0), q)
    np.testing.assert_allclose(log_prob, np.log(0.5), rtol=1e-6)


def test_to_act_inside_a_differentiated_f_is_refused(no_compute):
    """Nothing credits the sample for what it does there."""
    key = jax.random.key(0)
    estimate = jd.rebar(
        lambda z: z.sum() + jd.act(key, jd.Bernoulli(3.0 * z)).z.sum(), temperature=0.5
    )
    with pytest.raises(TypeError, match="depends on z through a stop_gradient"):
        estimate(key, jd.Bernoulli(jnp.zeros(2)))


def test_several_samples_are_refused(no_compute):
    z = {"a": jnp.zeros(2), "b": jnp.array([1.0, 0.0, 0.0])}
    estimate = jd.given(jd.reinforce_loo(f, num_samples=2), z)
    with pytest.raises(TypeError, match="Expected an estimator of one hard sample"):
        estimate(jax.random.key(0), distributions(Q))


def test_a_weight_that_is_no_scalar_is_refused(no_compute):
    with pytest.raises(ValueError, match="importance_weight"):
        jd.given(jd.reinforce(f), {}, importance_weight=jnp.ones(2))


@pytest.mark.parametrize("has_aux", [False, True])
def test_has_aux_is_that_of_the_estimate(has_aux, no_compute):
    estimate = jd.reinforce(
        lambda z: jnp.sum(z) if has_aux else (jnp.sum(z), z), has_aux=not has_aux
    )
    wrapped = jd.given(estimate, jnp.ones(2), importance_weight=0.5, has_aux=has_aux)
    with pytest.raises(TypeError, match=f"with has_aux={has_aux} to return"):
        jax.eval_shape(wrapped, jax.random.key(0), jd.Bernoulli(jnp.zeros(2)))


def test_what_the_new_policy_cannot_do_has_weight_zero():
    """Its estimate is zero, and so is every gradient."""
    q = jd.OneHotCategorical(jnp.array([0.0, 1.0, -jnp.inf]))
    action = jd.Action(jnp.array([0.0, 0.0, 1.0]), jnp.log(0.5))
    weight = jd.importance_weight(q, action)
    assert weight == 0.0
    estimates = [
        jd.given(estimate, action.z, importance_weight=weight)
        for estimate in (
            jd.reinforce(jnp.sum),
            jd.muprop(jnp.sum),
            jd.rebar(jnp.sum, temperature=0.5),
            jd.relax(jnp.sum, jnp.sum, temperature=0.5),
        )
    ]

    def run(estimates, key):
        both = [jax.value_and_grad(e, argnums=1)(key, q) for e in estimates]
        return [(value, gradient.logits) for value, gradient in both]

    key = jax.random.key(0)
    compiled = jax.jit(lambda key: run(estimates, key))(key)
    # The weight is known where nothing is compiled.
    for value, gradient in [*compiled, *run(estimates[:1], key)]:
        assert value == 0.0
        np.testing.assert_array_equal(gradient, 0.0)


@pytest.mark.parametrize(
    ("action", "error", "match"),
    [
        (
            jd.Action(jnp.zeros((4, 2)), jnp.zeros(4)),
            ValueError,
            r"to be one scalar, the joint .* got shape \(4,\)",
        ),
        (
            jd.Action(jnp.zeros(2), jnp.zeros(2)),
            ValueError,
            "Nothing is broadcast: use jax.vmap",
        ),
        (
            jd.Action(jnp.zeros((4, 2)), jnp.array(0.0)),
            ValueError,
            "of the shapes of a sample of q",
        ),
        (
            (jnp.zeros(2), jnp.array(0.0)),
            TypeError,
            "to be a jaxdiscrete.Action, got tuple",
        ),
    ],
)
def test_several_actions_have_no_one_weight(action, error, match, no_compute):
    with pytest.raises(error, match=match):
        jd.importance_weight(jd.Bernoulli(jnp.zeros(2)), action)


def test_no_distributions_to_act_by_are_refused(no_compute):
    with pytest.raises(TypeError, match=r"jaxdiscrete\.act"):
        jd.act(jax.random.key(0), jnp.array(0.3))
