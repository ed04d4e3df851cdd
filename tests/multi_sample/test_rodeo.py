"""Stein control variates: their formula, their special case and their training."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdiscrete as jd
from tests.helpers.statistics import gradient_samples
from tests.helpers.trees import assert_close, flat

KEY = jax.random.key(0)
Q = {"a": jd.Bernoulli(jnp.array([0.4])), "b": jd.Bernoulli(jnp.array([[0.3], [-0.9]]))}


def side_by_side(z):
    return jnp.concatenate([z["a"], z["b"].reshape(-1)])


def f(z):
    x = side_by_side(z)
    return jnp.dot(x, jnp.array([3.0, -2.0, 1.0])) + jnp.exp(x[0] * x[1] - x[2])


def no_control(value, change):
    del change
    return jnp.zeros_like(value)


def nonlinear(value, change):
    return jnp.tanh(0.3 * value - change) + 0.2 * value * change


def test_no_control_is_leave_one_out():
    ours = jd.rodeo(lambda z: (f(z), z), no_control, num_samples=4, has_aux=True)
    loo = jd.reinforce_loo(lambda z: (f(z), z), num_samples=4, has_aux=True)
    both = [
        jax.jit(jax.value_and_grad(e, 1, has_aux=True))(KEY, Q) for e in (ours, loo)
    ]
    assert_close(*both, rtol=1e-4)


def test_it_is_the_formula_of_its_docstring():
    """With conditional expectations written out as sums over both values of a bit."""
    count = 3
    estimate = jd.rodeo(lambda z: (f(z), z), nonlinear, num_samples=count, has_aux=True)
    both = jax.jit(jax.value_and_grad(estimate, 1, has_aux=True))
    (value, z), gradient = both(KEY, Q)
    values = np.asarray(jax.jit(jax.vmap(f))(z), np.float64)
    slopes = np.asarray(
        jax.jit(jax.vmap(side_by_side))(jax.jit(jax.vmap(jax.grad(f)))(z)), np.float64
    )
    z = np.asarray(jax.jit(jax.vmap(side_by_side))(z), np.float64)
    p = flat(jax.tree.map(jax.nn.sigmoid, Q))

    def gibbs_stein(function, y):
        total = 0.0
        for i in range(3):
            for bit, weight in ((1.0, p[i]), (0.0, 1.0 - p[i])):
                moved = y.copy()
                moved[i] = bit
                total = total + weight * function(moved) / 3
        return total - function(y)

    def h(k):
        return lambda y: np.mean(
            [
                float(nonlinear(values[j], slopes[j] @ (y - z[j])))
                for j in range(count)
                if j != k
            ]
        )

    moved = [gibbs_stein(h(k), z[k]) for k in range(count)]
    expected = np.zeros(3)
    for k in range(count):
        baseline = np.mean([values[j] + moved[j] for j in range(count) if j != k])
        expected += (values[k] - baseline) * (z[k] - p) / count
        expected += gibbs_stein(lambda y, k=k: h(k)(y) * (y - p), z[k]) / count
    assert_close(value, values.mean())
    np.testing.assert_allclose(flat(gradient), expected, rtol=1e-4)


def test_impossible_flips_are_not_shown_to_the_control():
    logits = jnp.array([0.3, -0.5, jnp.inf, -1e4])
    q = jd.Bernoulli(logits)

    def steep(z):
        return jnp.dot(z, jnp.array([1.0, -2.0, 1e6, 1e6]))

    def control(value, change):
        return jnp.where(jnp.abs(change) > 1e3, jnp.nan, jnp.tanh(change)) + 0.0 * value

    gradient = jax.jit(jax.grad(jd.rodeo(steep, control, num_samples=2), 1))(KEY, q)
    assert bool(jnp.all(jnp.isfinite(gradient.logits)))
    assert bool(jnp.all(gradient.logits[2:] == 0.0))


def test_calls_of_the_control():
    calls = []

    def counted(value, change):
        jax.debug.callback(lambda _: calls.append(1), change)
        return nonlinear(value, change)

    jax.jit(jax.grad(jd.rodeo(f, counted, num_samples=4), 1))(KEY, Q)
    jax.effects_barrier()
    assert len(calls) == 4 * 3 * (3 + 1)


@pytest.mark.thorough
def test_training_the_control_takes_variance_away():
    """From zero, where it is leave-one-out, on a function that is far from linear."""
    size, keys = 8, jax.random.split(jax.random.key(3), 100)
    q = jd.Bernoulli(jnp.linspace(-1.5, 1.5, size))
    c = jnp.linspace(-1.0, 1.5, size)

    def toy(z):
        return 3.0 * jnp.tanh(jnp.dot(c, z) - 0.5) + jnp.sum(z[:-1] * z[1:] * c[1:])

    def estimate(weights):
        def control(value, change):
            inputs = jnp.stack([value, change, jnp.tanh(change), value * change])
            return jnp.dot(weights, inputs)

        return jd.rodeo(toy, control, num_samples=2)

    def loss(weights, key):
        batch = jax.random.split(key, 64)
        return jnp.mean(jax.vmap(lambda k: estimate(weights)(k, q))(batch))

    tx = optax.rmsprop(2e-2)

    @jax.jit
    def train(weights):
        def step(carry, key):
            weights, state = carry
            updates, state = tx.update(jax.grad(loss)(weights, key), state)
            return (optax.apply_updates(weights, updates), state), None

        return jax.lax.scan(step, (weights, tx.init(weights)), keys)[0][0]

    def variance(transform):
        return gradient_samples(transform, q, num=20_000).var(axis=0).sum()

    loo = variance(jd.reinforce_loo(toy, num_samples=2))
    start = jnp.zeros(4)
    np.testing.assert_allclose(variance(estimate(start)), loo, rtol=1e-4)
    assert variance(estimate(train(start))) < 0.3 * loo


def test_nothing_reaches_what_the_control_reads_through_arguments():
    def loss(theta):
        estimate = jd.rodeo(
            lambda z, theta: f(z) * theta,
            lambda value, change, theta: theta * change + value,
            num_samples=2,
        )
        return estimate(KEY, Q, theta)

    mean_of_f = jd.reinforce_loo(f, num_samples=2)(KEY, Q)
    assert_close(jax.jit(jax.grad(loss))(jnp.array(0.7)), mean_of_f)


def test_errors_of_the_surrogate():
    match = r"num_samples >= 2 in jaxdiscrete\.rodeo, got 1\. The control variate of ea"
    with pytest.raises(ValueError, match=match):
        jd.rodeo(f, no_control, num_samples=1)
    with pytest.raises(
        ValueError, match=r"surrogate to return one real scalar, got sh"
    ):
        jd.rodeo(f, lambda v, c: jnp.stack([v, c]), num_samples=2)(KEY, Q)
    hidden = lambda z: f(z)  # noqa: E731
    match = r"since the surrogate reads them stopped, got function.*tree_util\.Partial"
    with pytest.raises(TypeError, match=match):
        jd.rodeo(lambda z, g: g(z), lambda v, c, g: v, num_samples=2)(KEY, Q, hidden)
