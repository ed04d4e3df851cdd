"""REBAR: its limits, its variance, and what trains it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.trees import assert_close
from tests.multi_sample.problems import variance

KEYS = jax.random.split(jax.random.key(5), 64)
TWO = jd.Bernoulli(jnp.array([0.3, -0.8]))


def of_two(z):
    weights = jnp.arange(1.0, z.size + 1.0, dtype=z.dtype)
    return jnp.sum(jnp.sin(2.0 * z) * weights) + z[0] ** 2 * z[1] - 0.5


def test_python_numbers_are_constants_and_numpy_arrays_work():
    by_number = jd.rebar(of_two, temperature=0.5, scale=1.0)
    by_array = jd.rebar(of_two, temperature=np.float32(0.5), scale=jnp.array(1.0))
    key = KEYS[0]
    assert_close(jax.grad(by_number, 1)(key, TWO), jax.grad(by_array, 1)(key, TWO))


def test_one_temperature_and_scale_a_latent():
    """Arrays of the latent's shape and pytrees like q train entry by entry."""
    q = {"a": TWO, "b": jd.OneHotCategorical(jnp.zeros((2, 3)))}

    def g(z):
        return of_two(z["a"]) + jnp.sum(z["b"] ** 2 * jnp.arange(3.0)[None, :])

    cv = {
        "temperature": {"a": jnp.array([0.3, 0.6]), "b": jnp.array([0.5, 0.9])},
        "scale": {"a": jnp.array([1.0, 0.5]), "b": jnp.array(0.8)},
    }

    @jax.jit
    def moment(cv):
        gradient = jax.grad(jd.rebar(g, **cv), argnums=1)
        squares = [
            jnp.sum(jnp.square(x))
            for x in jax.tree.leaves(jax.vmap(lambda k: gradient(k, q))(KEYS))
        ]
        return sum(squares) / len(KEYS)

    def loss(cv):
        return jnp.mean(jax.vmap(lambda k: jd.rebar(g, **cv)(k, q))(KEYS))

    received = jax.jit(jax.grad(loss))(cv)
    for group in cv:
        for part, leaf in cv[group].items():
            direction = jnp.ones_like(leaf).at[..., -1:].set(2.0) if leaf.ndim else 1.0
            eps = 1e-2
            moved = [
                moment(cv | {group: cv[group] | {part: leaf + s * eps * direction}})
                for s in (1.0, -1.0)
            ]
            expected = (moved[0] - moved[1]) / (2 * eps)
            got = jnp.sum(received[group][part] * direction)
            np.testing.assert_allclose(got, expected, rtol=2e-2)


def test_integer_arrays_are_constants():
    by_integer = jd.rebar(
        of_two, temperature=jnp.array(1), scale=jnp.ones(2, jnp.int32)
    )
    by_number = jd.rebar(of_two, temperature=1.0, scale=1.0)
    gradients = [jax.grad(e, 1)(KEYS[0], TWO) for e in (by_integer, by_number)]
    assert_close(*gradients)


def test_variance_of_rebar_on_the_published_toy():
    """t = .45 at theta = .1: the modified relaxation gains, the plain one does not."""
    q = jd.Bernoulli(jnp.log(jnp.array([0.1 / 0.9])))
    toy = lambda z: jnp.sum((z - 0.45) ** 2)  # noqa: E731
    reinforce = np.log(variance(jd.reinforce(toy), q, num=400_000))
    tuned = jd.rebar(toy, temperature=2.0, scale=2.8, relaxation=jd.muprop_relaxation)
    modified = np.log(variance(tuned, q, num=400_000))
    np.testing.assert_allclose([reinforce, modified], [-4.87, -5.94], atol=0.05)
    # The plain relaxation gains nothing at moderate temperatures, whatever the scale.
    for t in (0.1, 0.5, 1.0):
        for scale in (0.05, 0.3, 1.0):
            plain = jd.rebar(toy, temperature=t, scale=scale)
            assert np.log(variance(plain, q)) > reinforce - 0.05


def test_untuned_rebar_can_have_much_more_variance_than_reinforce():
    """Scale 1 and temperature .1 on the scalar toy: what training is for."""
    q = jd.Bernoulli(jnp.zeros(1))
    toy = lambda z: jnp.sum((z - 0.45) ** 2)  # noqa: E731
    untuned = variance(jd.rebar(toy, temperature=0.1, scale=1.0), q)
    assert untuned > 3 * variance(jd.reinforce(toy), q)


KEY = jax.random.key(0)
CLASSES = jd.OneHotCategorical(jnp.array([[0.3, -0.8, 0.5], [0.0, 1.0, -jnp.inf]]))
BITS = jd.Bernoulli(jnp.array([0.3, -0.8]))


@pytest.mark.parametrize("q", [CLASSES, BITS])
def test_rebar_tends_to_muprop_at_high_temperature(q):
    """With the modified relaxation and the same hard sample."""

    def f(z):
        return jnp.sum(jnp.sin(2.0 * z) * jnp.arange(1.0, z.size + 1).reshape(z.shape))

    rebar = jd.rebar(f, temperature=1e5, scale=1.0, relaxation=jd.muprop_relaxation)
    value, gradient = jax.value_and_grad(rebar, 1)(KEY, q)
    z = q.threshold(q.relaxed_sample(KEY))
    m = q.mean()
    score = jax.grad(lambda d: d.log_prob(z).sum())(q).logits
    # The derivative of the relaxation vanishes like 1 / temperature.
    expected = (f(z) - f(m)) * score
    assert_close(value, f(z))
    assert_close(gradient.logits, expected, atol=1e-3)
