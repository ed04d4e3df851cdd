"""The two identities, by themselves and around jit caches."""

import re

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from jaxdiscrete.core.rules import (
    attach_gradient,
    attach_objective,
    softplus,
    value_stays_live,
)
from tests.helpers.parameters import daily
from tests.helpers.trees import assert_close


def test_attach_gives_its_gradient_and_passes_the_cotangent():
    def loss(theta, params):
        value = jnp.sin(theta)
        grads = [jnp.array([1.0, 2.0]), jnp.array(3.0)]
        return 5.0 * attach_gradient(value, params, grads)

    params = [jnp.zeros(2, jnp.bfloat16), jnp.array(0.5)]
    to_theta, to_params = jax.grad(loss, (0, 1))(0.3, params)
    assert_close(to_theta, 5.0 * jnp.cos(0.3))
    assert_close(to_params, [jnp.array([5.0, 10.0]), 15.0])
    assert [g.dtype for g in to_params] == [jnp.bfloat16, jnp.float32]


def test_attach_gives_nothing_to_its_gradients():
    def loss(g):
        return attach_gradient(jnp.array(1.0), [jnp.array(2.0)], [g])

    assert jax.grad(loss)(jnp.array(3.0)) == 0.0


@pytest.mark.parametrize("weight", [2.0, -2.0])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_tap_minimises_whatever_the_sign(weight, dtype):
    def loss(theta, psi):
        value = theta.astype(dtype) ** 2
        return weight * attach_objective(value, psi**2)

    to_theta, to_psi = jax.grad(loss, (0, 1))(jnp.float32(3.0), jnp.float32(5.0))
    assert to_theta == weight * 6.0
    assert to_psi == 2.0 * 10.0


def test_a_jitted_objective_may_be_nested_and_still_refuses_hessians():
    """What is cached for one use must not leak into the other."""
    key = jax.random.key(0)
    weights = jnp.array([[0.9, -0.6], [0.5, 0.8]])

    @jax.jit
    def f1(z1):
        q2 = jd.Bernoulli(z1 @ weights)
        return jd.rebar(lambda z2: jnp.sum(z2**2), temperature=0.5, scale=1.0)(key, q2)

    def loss(logits):
        outer = jd.rebar(f1, temperature=jnp.array(0.5), scale=jnp.array(1.0))
        return outer(key, jd.Bernoulli(logits))

    logits = jnp.array([0.3, -0.4])
    jax.eval_shape(jax.grad(loss), logits)
    with pytest.raises(TypeError, match="first derivative of a jaxdiscrete"):
        jax.eval_shape(jax.hessian(loss), logits)
    assert bool(jnp.isfinite(jax.jit(jax.grad(loss))(logits)).all())


PATHWISE = [
    jd.mean_field,
    jd.straight_through,
    lambda f: jd.gumbel_softmax(f, temperature=0.5),
    lambda f: jd.rebar(f, temperature=jnp.array(0.5), scale=jnp.array(1.0)),
    jd.muprop_second_order,
]


@pytest.mark.parametrize("outer", daily(PATHWISE[2:3], PATHWISE))
def test_no_silent_hessian_through_the_cache_of_a_jitted_objective(outer):
    key = jax.random.key(0)

    @jax.jit
    def inner(logits):
        return jd.reinforce(lambda z: 3.0 * jnp.sum(z**2))(key, jd.Bernoulli(logits))

    logits = jnp.array([0.3, -0.8])

    def loss(logits):
        return outer(lambda z: inner(z * 1.0))(key, jd.Bernoulli(logits))

    jax.eval_shape(jax.grad(loss), logits)
    for fn in (loss, inner):
        for second in (jax.hessian(fn), jax.jacrev(jax.jacrev(fn))):
            with pytest.raises(TypeError, match="first derivative of a jaxdiscrete"):
                jax.eval_shape(second, logits)
    assert bool(jnp.isfinite(jax.jit(jax.grad(loss))(logits)).all())


@pytest.mark.parametrize("wrap", [lambda b: b, jd.least_squares])
def test_no_silent_derivative_of_the_gradient_of_a_baseline(wrap):
    """It moves with q and with f, and its rule holds both as constants."""

    def loss(b, logits, w):
        estimate = jd.reinforce(lambda z, w: w * z.sum() ** 2, baseline=wrap(b))
        return estimate(jax.random.key(0), jd.Bernoulli(logits), w)

    b, logits, w = jnp.array(1.0), jnp.array([0.5, -1.0]), jnp.array(2.0)
    to_baseline = jax.grad(loss)
    for argnum in (1, 2):
        with pytest.raises(TypeError, match="first derivative of a jaxdiscrete"):
            jax.eval_shape(jax.grad(to_baseline, argnum), b, logits, w)
    # A Hessian in w alone trains no baseline, and is exact.
    jax.eval_shape(jax.jit(jax.hessian(loss, 2)), b, logits, w)


@pytest.mark.parametrize(
    "transform", daily([jd.disarm], [jd.reinforce, jd.disarm, jd.local_expectation])
)
def test_parameters_may_be_python_numbers(transform):
    def loss(s, logits):
        estimate = transform(lambda z: s * z)
        return estimate(jax.random.key(0), jd.Bernoulli(logits))

    for value in (loss(2.0, 0.3), jax.grad(loss)(2.0, 0.3)):
        assert value.shape == ()
    assert_close(jax.grad(loss)(2.0, 0.3), loss(1.0, jnp.array(0.3)))


def test_a_critic_may_contain_an_estimator():
    key, q = jax.random.key(0), jd.Bernoulli(jnp.array([0.3, -0.8]))

    def loss(s):
        def critic(z):
            return s * jd.reinforce(lambda y: jnp.sum(y))(key, jd.Bernoulli(z))

        return jd.relax(lambda z: jnp.sum(z), critic, temperature=0.5)(key, q)

    assert bool(jnp.isfinite(jax.jit(jax.grad(loss))(jnp.array(1.0))))


@pytest.mark.thorough
@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg"])
def test_other_generators(impl):
    key = jax.random.key(0, impl=impl)
    q = {"a": jd.Bernoulli(jnp.zeros(3)), "b": jd.OneHotCategorical(jnp.zeros(4))}

    def f(z):
        return jnp.sum(z["a"]) + z["b"][0]

    for estimate in (
        jd.reinforce_loo(f, num_samples=3),
        jd.rebar(f, temperature=0.5, conditional_noise=jd.independent_noise),
    ):
        gradient = jax.jit(jax.grad(estimate, 1))(key, q)
        assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(gradient))


@pytest.mark.parametrize(
    "wrap", daily([jax.jit], [lambda f: f, jax.jit, jax.checkpoint])
)
def test_a_value_beside_its_derivative_keeps_the_gradients_of_what_is_inside(wrap):
    """The derivative in z would use up the rules, and what else f needs get nothing."""
    key = jax.random.key(1)

    @wrap
    def f(z, theta, c):
        q = jd.Bernoulli(theta * z)
        return jd.reinforce(lambda y: 3.0 * jnp.sum(y), baseline=c)(key, q)

    def beside(theta, c):
        with value_stays_live():
            value, _ = jax.value_and_grad(f)(jnp.array([1.0, 0.5]), theta, c)
        return value

    def alone(theta, c):
        return f(jnp.array([1.0, 0.5]), theta, c)

    at = (jnp.array(0.3), jnp.array(0.7))
    expected = jax.jit(jax.grad(alone, (0, 1)))(*at)
    assert all(float(jnp.abs(g)) > 0.1 for g in expected)
    if wrap is jax.jit:  # op by op as well
        assert_close(jax.grad(beside, (0, 1))(*at), expected)
    assert_close(jax.jit(jax.grad(beside, (0, 1)))(*at), expected)
    with pytest.raises(TypeError, match="first derivative of a jaxdiscrete"):
        jax.eval_shape(jax.jacrev(jax.jacrev(beside)), *at)


def test_the_derivatives_of_softplus():
    x = jnp.array([-jnp.finfo(jnp.float32).max, -90.0, -0.5, 0.0, 3.0, 90.0])
    assert_close(softplus(x), jax.nn.softplus(x))
    first = jax.vmap(jax.grad(softplus))
    assert_close(first(x), jax.nn.sigmoid(x))
    p = jax.nn.sigmoid(x)
    assert_close(jax.vmap(jax.grad(jax.grad(softplus)))(x), p * (1.0 - p))


def test_a_score_needs_no_log_probability():
    """Of a Bernoulli, whose score is known without it."""

    def loss(q):
        return jd.reinforce(jnp.sum)(jax.random.key(0), q)

    q = jd.Bernoulli(jnp.array([0.5, -1.0]))
    program = jax.jit(jax.grad(loss)).lower(q).compile().as_text()
    assert not re.search(r" log(-plus-one)?\(", program)
