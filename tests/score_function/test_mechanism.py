"""One sample and a control variate: the formula, and what trains its arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from jaxdiscrete.core.latents import draw
from jaxdiscrete.core.scores import score
from jaxdiscrete.score_function.mechanism import Draw, with_control_variate
from tests.helpers.statistics import exact_gradient
from tests.helpers.trees import assert_close, flat_rows
from tests.score_function.problems import (
    KEY,
    Q,
    every_sample,
    f,
    gradients_at_every_sample,
)

KEYS = jax.random.split(jax.random.key(5), 64)
TWO = Q["bits"]
FITTED, LIVE, BASELINE = jnp.array([0.7, -1.2]), jnp.array(0.4), jnp.array(0.9)


def first_term(z, q, weights):
    """A control of mean zero: it is linear in the score."""
    to_q = score(q, z)
    first, second = weights
    to_q["bits"] = jax.tree.map(lambda x: first * x, to_q["bits"])
    to_q["classes"] = jax.tree.map(lambda x: second * x, to_q["classes"])
    return to_q


def second_term(z, q, weight):
    return jax.tree.map(lambda x: weight * x, score(q, z))


def of_two(z):
    weights = jnp.arange(1.0, z.size + 1.0, dtype=z.dtype)
    return jnp.sum(jnp.sin(2.0 * z) * weights) + z[0] ** 2 * z[1] - 0.5


def build(fitted=FITTED, live=LIVE, baseline=BASELINE, hidden=1.0):
    """Both terms, the first of which closes over ``hidden``."""
    return with_control_variate(
        "made_up",
        f,
        draw=lambda key, q: Draw(draw(key, q)),
        parameters=lambda q: fitted,
        baseline=baseline,
        control=lambda f, q, drawn, args, p: first_term(drawn.z, q, hidden * p),
        live_control=lambda f, q, drawn, args, p: second_term(drawn.z, q, live),
    )


def by_hand(z, fitted, live, baseline):
    """``(f - b) score - h`` at one sample."""
    whole = jax.tree.map(lambda x: (f(z) - baseline) * x, score(Q, z))
    both = first_term(z, Q, fitted), second_term(z, Q, live)
    return jax.tree.map(lambda g, a, b: g - a - b, whole, *both)


def test_the_gradient_is_the_formula_at_every_sample():
    samples, p = every_sample()
    gradients = gradients_at_every_sample(build())
    at = jax.jit(jax.vmap(lambda z: by_hand(z, FITTED, LIVE, BASELINE)))
    np.testing.assert_allclose(gradients, flat_rows(at(samples)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(p @ gradients, exact_gradient(f, Q), rtol=1e-4)


def test_what_makes_h_and_b_gets_the_gradient_of_the_squared_norm():
    """At every sample; what the frozen part closes over gets none."""
    samples, _ = every_sample()

    def loss(z, *parameters):
        return jd.given(build(*parameters), z)(KEY, Q)

    def squared_norm(z, *parameters):
        return sum(jnp.sum(g**2) for g in jax.tree.leaves(by_hand(z, *parameters)))

    def slopes(fn, *parameters):
        over = tuple(range(1, len(parameters) + 1))
        gradient = jax.vmap(jax.grad(fn, over), (0, *(None for _ in parameters)))
        return jax.jit(gradient)(samples, *parameters)

    *received, to_hidden = slopes(loss, FITTED, LIVE, BASELINE, jnp.array(1.0))
    expected = slopes(squared_norm, FITTED, LIVE, BASELINE)
    assert_close(received, list(expected), rtol=1e-4, atol=1e-5)
    assert all(float(jnp.abs(x).max()) > 1.0 for x in received)
    assert bool(jnp.all(to_hidden == 0))


def test_python_numbers_and_integers_are_constants_and_numpy_arrays_work():
    pairs = [
        ({"temperature": 1.0, "scale": 1.0}, {"temperature": jnp.array(1)}),
        ({"temperature": 0.5}, {"temperature": np.float32(0.5)}),
        ({"temperature": 0.5}, {"temperature": 0.5, "scale": jnp.array(1.0)}),
        ({"temperature": 0.5}, {"temperature": 0.5, "scale": jnp.ones(2, jnp.int32)}),
    ]

    @jax.jit
    def gradients():
        def of(options):
            return jax.grad(jd.rebar(of_two, **options), 1)(KEYS[0], TWO)

        return [(of(one), of(other)) for one, other in pairs]

    for one, other in gradients():
        assert_close(one, other)


@pytest.mark.thorough
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


@pytest.mark.parametrize(
    "transform",
    [
        lambda f, r: jd.rebar(f, temperature=0.5, relaxed_f=r),
        lambda f, r: jd.relax_rebar(f, jnp.sum, temperature=0.5, relaxed_f=r),
        lambda f, r: jd.muprop(f, relaxed_f=r),
        lambda f, r: jd.muprop_second_order(f, relaxed_f=r),
    ],
    ids=["rebar", "relax_rebar", "muprop", "muprop_second_order"],
)
def test_a_relaxed_f_has_a_derivative_where_f_has_none(transform, no_compute):
    def black_box(z):
        return jnp.sum(jnp.round(z))

    match = r"Expected relaxed_f of jaxdiscrete\.\w+ to be differentiable in z, got a"
    with pytest.raises(TypeError, match=match):
        transform(black_box, black_box)(KEY, TWO)
    jax.eval_shape(transform(black_box, of_two), KEY, TWO)
