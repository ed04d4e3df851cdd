"""Derivatives of every order against those of the enumerated expectation."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.parameters import daily
from tests.helpers.statistics import assert_unbiased, map_in_chunks
from tests.helpers.trees import assert_close, flat

KEY = jax.random.key(0)


def f(z, theta=1.0):
    linear = jnp.dot(z, jnp.array([12.0, -10.0]))
    return theta**2 * (linear - 8.0 * z[0] * z[1] + 2.0)


def bernoulli(x):
    return jd.Bernoulli(x)


def masked(x):
    """Three classes of four, whose logits are a function of x."""
    return jd.OneHotCategorical(jnp.stack([2.0 * x[0], x[1], -x[0] * x[1], -jnp.inf]))


def masked_f(z, theta=1.0):
    return theta**2 * jnp.dot(z, jnp.array([9.0, -9.0, 2.0, 5.0]))


def expectation(build, objective):
    """The exact expectation as a function of x and theta."""

    def loss(x, theta):
        return jd.exact(objective)(KEY, build(x), theta)

    return loss


def mean_and_error(derivative, num=400_000, num_batches=100):
    """Means of ``derivative(key)`` over batches of keys, ``[batches, coordinates]``."""
    keys = jax.random.split(jax.random.key(5), (num_batches, num // num_batches))

    def batch(keys):
        return jax.tree.map(lambda x: x.mean(axis=0), jax.vmap(derivative)(keys))

    means = map_in_chunks(batch, keys, chunk_size=1)
    return np.asarray(means, np.float64).reshape(num_batches, -1)


X = jnp.array([0.6, -0.4])
THETA = jnp.array(1.5)


@pytest.mark.parametrize(
    ("which", "baseline"),
    daily([("masked", 3.0)], list(itertools.product(["bits", "masked"], [None, 3.0]))),
)
def test_hessian_is_unbiased(which, baseline):
    build, objective = {"bits": (bernoulli, f), "masked": (masked, masked_f)}[which]
    estimate = jd.dice(objective, baseline=baseline)

    def hessian(key):
        return jax.hessian(lambda x: estimate(key, build(x), THETA))(X)

    exact = jax.jit(jax.hessian(expectation(build, objective)))(X, THETA)
    assert_unbiased(mean_and_error(hessian), exact.ravel())


@pytest.mark.thorough
def test_forward_and_reverse_mode_agree():
    estimate = jd.dice(f, baseline=3.0)

    def loss(x):
        return estimate(KEY, bernoulli(x), THETA)

    @jax.jit
    def first_and_second():
        modes = (jax.jacrev, jax.jacfwd)
        first = [mode(loss)(X) for mode in modes]
        second = [a(b(jax.checkpoint(loss)))(X) for a in modes for b in modes]
        return first, second

    first, second = first_and_second()
    gradient = jax.jit(jax.grad(jd.reinforce(f, baseline=3.0), 1))(
        KEY, bernoulli(X), THETA
    )
    for mode in first:
        assert_close(mode, gradient.logits)
    for mode in second:
        assert_close(mode, jax.hessian(loss)(X))


def test_mixed_derivatives_with_what_f_depends_on_are_unbiased():
    estimate = jd.dice(f, baseline=lambda theta: 3.0 * theta)

    def mixed(key):
        def loss(x, theta):
            return estimate(key, bernoulli(x), theta)

        return jax.jacfwd(jax.grad(loss), argnums=1)(X, THETA)

    exact = jax.jit(jax.jacfwd(jax.grad(expectation(bernoulli, f)), argnums=1))(
        X, THETA
    )
    assert_unbiased(mean_and_error(mixed), exact)


@pytest.mark.thorough
def test_third_derivative_is_unbiased():
    cost = lambda z: 5.0 * z - 2.0  # noqa: E731
    a = jnp.array(0.9)

    def third(fn):
        return jax.grad(jax.grad(jax.grad(fn)))

    def sample(key):
        return third(lambda a: jd.dice(cost, baseline=1.0)(key, jd.Bernoulli(a)))(a)

    p = jax.nn.sigmoid(a)
    exact = 5.0 * p * (1 - p) * (1 - 6 * p + 6 * p**2)
    assert_close(third(lambda a: jd.exact(cost)(KEY, jd.Bernoulli(a)))(a), exact)
    assert_unbiased(mean_and_error(sample, num=2_000_000), exact.reshape(1))


@pytest.mark.thorough
def test_a_hierarchy_of_estimates_has_an_unbiased_hessian():
    """The box of the first layer multiplies what the second one returns."""

    def loss(transform, x, key):
        key_first, key_second = jax.random.split(key)

        def first(z):
            q = jd.Bernoulli(1.5 * x[1] * (2.0 * z - 1.0) + x[0])
            return transform(lambda y: 9.0 * y * z - 6.0 * y + 4.0 * z)(key_second, q)

        return transform(first)(key_first, jd.Bernoulli(x[0]))

    def hessian(key):
        return jax.hessian(lambda x: loss(jd.dice, x, key))(X)

    exact = jax.jit(jax.hessian(lambda x: loss(jd.exact, x, KEY)))(X)
    assert_unbiased(mean_and_error(hessian, num=1_000_000), exact.ravel())


def test_a_first_order_estimate_inside_refuses_its_second_derivative():
    inner = jd.reinforce(lambda z: jnp.sum(z))

    def loss(x):
        return jd.dice(lambda z: inner(KEY, jd.Bernoulli(x * z)))(KEY, bernoulli(x))

    assert bool(jnp.all(jnp.isfinite(jax.jit(jax.grad(loss))(X))))
    with pytest.raises(TypeError, match="first derivative of a jaxdiscrete"):
        jax.eval_shape(jax.hessian(loss), X)


def test_a_baseline_takes_variance_and_refuses_a_gradient():
    keys = jax.random.split(KEY, 20_000)
    far = lambda z, theta: f(z, theta) + 50.0  # noqa: E731

    def gradient_and_hessian(x, level, key):
        estimate = jd.dice(far, baseline=lambda theta: level)
        loss = lambda x: estimate(key, bernoulli(x), THETA)  # noqa: E731
        return jax.grad(loss)(x), jax.hessian(loss)(x)

    many = jax.jit(jax.vmap(gradient_and_hessian, (None, None, 0)))
    centre = expectation(bernoulli, far)(X, THETA)
    without, with_baseline = many(X, jnp.zeros(()), keys), many(X, centre, keys)
    for a, b in zip(without, with_baseline, strict=True):
        assert a.var(axis=0).sum() > 4.0 * b.var(axis=0).sum()

    def loss(level):
        return jd.dice(f, baseline=level)(KEY, bernoulli(X), THETA)

    with pytest.raises(TypeError, match=r"jaxdiscrete\.dice that is not diff.*stop it"):
        jax.eval_shape(jax.grad(loss), centre)
    stopped = jax.grad(lambda level: loss(jax.lax.stop_gradient(level)))
    assert stopped(centre) == 0
    assert loss(jnp.array(1e6)) == loss(jnp.array(0.0))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_signals_are_not_rounded_to_the_dtype_of_f(dtype):
    """f - b in half precision would be zero or one unit in the last place."""
    logits = jnp.array([0.5], dtype)
    estimate = jd.dice(lambda z: 256.0 + 0.0 * z[0], baseline=jnp.float32(255.75))
    value, gradient = jax.jit(jax.value_and_grad(estimate, 1))(
        KEY, jd.Bernoulli(logits)
    )
    z = jd.Bernoulli(logits).sample(KEY)
    assert value.dtype == dtype
    assert value == 256.0
    expected = 0.25 * (z.astype(jnp.float32) - jax.nn.sigmoid(0.5))
    np.testing.assert_allclose(flat(gradient), expected, rtol=1e-2)


@pytest.mark.parametrize("baseline", [jnp.zeros(2), lambda *args: jnp.zeros(2)])
def test_a_baseline_is_one_scalar(baseline):
    with pytest.raises(ValueError, match=r"baseline to return one real scalar, got sh"):
        jd.dice(f, baseline=baseline)(KEY, bernoulli(X))
