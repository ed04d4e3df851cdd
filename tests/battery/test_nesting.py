"""Hierarchies: an estimator inside the objective of another."""

import itertools

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from tests.battery.control_variates import critic, initial_cv
from tests.battery.estimators import ALL
from tests.helpers.parameters import daily
from tests.helpers.statistics import assert_gradient_unbiased, map_in_chunks
from tests.helpers.trees import assert_close, flat, flat_rows

PARAMS = {
    "first": jnp.array([1.3, -1.1]),
    "weights": jnp.array([[0.9, -0.6], [0.5, 0.8]]),
}


def second_layer(weights, z1):
    return jd.Bernoulli((2.0 * z1 - 1.0) @ weights)


def objective(z2, z1):
    linear = jnp.dot(z2, jnp.array([6.0, -8.0])) + jnp.dot(z1, jnp.array([5.0, 5.0]))
    return linear + 1.5 * z1[0] * z2[1] ** 2 - 4.0


def hierarchical(outer, inner, params, key):
    key_outer, key_inner = jax.random.split(key)

    def first_objective(z1):
        q2 = second_layer(params["weights"], z1)
        return inner(objective)(key_inner, q2, z1)

    return outer(first_objective)(key_outer, jd.Bernoulli(params["first"]))


def exact_loss(params):
    key = jax.random.key(0)

    def first_objective(z1):
        q2 = second_layer(params["weights"], z1)
        return jd.exact(objective)(key, q2, z1)

    return jd.exact(first_objective)(key, jd.Bernoulli(params["first"]))


OUTER = ["reinforce_baseline", "reinforce_loo", "muprop", "rebar", "relax_scale"]
INNER = ["nvil", "reinforce_baseline", "relax", "rebar", "muprop"]
# These differentiate the objective in the evaluation that gives its value.
WITH_SLOPES = [("double_cv", "relax"), ("rodeo", "reinforce_baseline")]


# A trained one over another, several samples over one, and slopes of one.
DAILY = [("rebar", "rebar"), ("reinforce_loo", "reinforce_baseline")]


@pytest.mark.parametrize(
    ("outer", "inner"),
    daily(DAILY, [*itertools.product(OUTER, INNER), *WITH_SLOPES]),
)
def test_every_layer_is_unbiased(outer, inner):
    cvs = (initial_cv(), initial_cv())

    def loss(key, params):
        return hierarchical(
            lambda f: ALL[outer].make(f, cvs[0], False),
            lambda f: ALL[inner].make(f, cvs[1], False),
            params,
            key,
        )

    expected = flat(jax.jit(jax.grad(exact_loss))(PARAMS))
    assert_gradient_unbiased(loss, PARAMS, expected=expected, seed=11)


@pytest.mark.thorough
def test_the_spelling_of_the_readme():
    """rebar over relax with the inner inputs through args, all four parts trained."""

    def loss(model, cv, key):
        key1, key2 = jax.random.split(key)

        def f1(z1):
            q2 = second_layer(model["weights"], z1)
            inner = jd.relax(objective, critic(cv["weights"]), temperature=cv["t2"])
            return inner(key2, q2, z1)

        outer = jd.rebar(f1, temperature=cv["t1"], scale=cv["s1"])
        return outer(key1, jd.Bernoulli(model["first"]))

    cv = {
        "weights": jnp.array([0.6, -0.4, 0.9]),
        "t1": jnp.array(0.5),
        "t2": jnp.array(0.7),
        "s1": jnp.array(0.9),
    }
    gradients = jax.jit(jax.grad(loss, (0, 1)))(PARAMS, cv, jax.random.key(0))
    assert all(bool(jnp.all(jnp.isfinite(g))) for g in jax.tree.leaves(gradients))
    assert all(float(jnp.abs(g).max()) > 0 for g in jax.tree.leaves(gradients[1]))


@pytest.mark.thorough
@pytest.mark.parametrize(
    "inner",
    daily(["relax"], ["nvil", "reinforce_baseline", "relax"]),
)
def test_gumbel_softmax_over_an_inner_estimator(inner):
    """The pathwise outer gradient is that of the inner objective, in expectation."""
    t = 0.7

    def loss(params, key, inner_of):
        key_outer, key_inner = jax.random.split(key)

        def f1(z1):
            return inner_of(objective)(
                key_inner, second_layer(params["weights"], z1), z1
            )

        return jd.gumbel_softmax(f1, temperature=t)(
            key_outer, jd.Bernoulli(params["first"])
        )

    keys = jax.random.split(jax.random.key(2), 400_000)

    def mean(inner_of):
        gradient = jax.grad(lambda p, k: loss(p, k, inner_of))
        return flat_rows(map_in_chunks(lambda key: gradient(PARAMS, key), keys))

    estimated = mean(lambda f: ALL[inner].make(f, initial_cv(), False))
    reference = mean(jd.exact)
    # The same outer noise: the difference has the inner variance only.
    se = (estimated - reference).std(axis=0) / len(keys) ** 0.5
    error = (estimated - reference).mean(axis=0)
    assert (abs(error) < 4.5 * se + 1e-4).all()
    assert (4.5 * se < 0.05 * abs(reference.mean(axis=0)).max()).all()


@pytest.mark.thorough
@pytest.mark.parametrize("outer", daily(["double_cv"], ["double_cv", "rodeo"]))
def test_what_is_inside_is_trained_as_under_leave_one_out(outer):
    """A derivative of f in z beside its value takes nothing from what f is made of."""

    def loss(cv, params, outer_of):
        return hierarchical(
            outer_of,
            lambda f: ALL["rebar"].make(f, cv, False),
            params,
            jax.random.key(4),
        )

    def gradient(outer_of):
        both = jax.grad(lambda cv, params: loss(cv, params, outer_of), (0, 1))
        to_cv, to_params = jax.jit(both)(initial_cv(), PARAMS)
        return to_cv, to_params["weights"]

    ours = gradient(lambda f: ALL[outer].make(f, initial_cv(), False))
    loo = gradient(lambda f: jd.reinforce_loo(f, num_samples=3))
    assert_close(ours, loo, rtol=1e-4, atol=1e-5)
    assert all(float(jnp.abs(ours[0][c])) > 1e-3 for c in ("scale", "log_temperature"))


@pytest.mark.thorough
@pytest.mark.parametrize("outer", ["rebar", "relax_scale", "muprop"])
def test_hessians_are_refused_also_where_nesting_passes(outer):
    """The library may differentiate an inner gradient; a user's Hessian may not."""

    def loss(first, key):
        return hierarchical(
            lambda f: ALL[outer].make(f, initial_cv(), False),
            lambda f: jd.rebar(f, temperature=0.5, scale=1.0),
            PARAMS | {"first": first},
            key,
        )

    key = jax.random.key(0)
    assert bool(jnp.all(jnp.isfinite(jax.jit(jax.grad(loss))(PARAMS["first"], key))))
    with pytest.raises(TypeError, match="first derivative of a jaxdiscrete"):
        jax.eval_shape(jax.hessian(loss), PARAMS["first"], key)
