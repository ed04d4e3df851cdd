"""The training loss against enumeration of all latent states."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.estimators.base import EstimatorAtStep
from jaxdiscrete.experiments.estimators.table import ESTIMATORS
from jaxdiscrete.experiments.layered import objective
from jaxdiscrete.experiments.layered.bounds import importance_loss
from jaxdiscrete.experiments.settings.fields import constant
from jaxdiscrete.experiments.tasks.generative.settings import Settings as Generative
from tests.experiments.oracles import (
    CASES,
    IMAGE,
    PIXEL_MEAN,
    Case,
    exact_bound,
    exact_loss,
    network,
    parameters,
    randomised,
)
from tests.helpers.parameters import daily
from tests.helpers.statistics import (
    K_SIGMA,
    assert_unbiased,
    map_in_chunks,
    total_variance,
)
from tests.helpers.trees import assert_close, flat, flat_rows

STEP = jnp.zeros((), jnp.int32)
CONCRETE = Case(Generative(num_latents=(2,), divergence="concrete"), 0, 0)


#: Unbiased estimators: name and settings.
UNBIASED = {
    "reinforce": ("reinforce", {}),
    "constant_baseline": ("reinforce_constant_baseline", {"baseline": 2.0}),
    "nvil": ("nvil", {"baseline_hidden": (3,), "normalize": False}),
    "loo": ("reinforce_loo", {"num_samples": 2}),
    "optimal_baseline": ("reinforce_optimal_baseline", {"num_samples": 2}),
    "simple_muprop": ("simple_muprop", {"baseline_hidden": (3,)}),
    "muprop": ("muprop", {}),
    "rebar": ("rebar", {"baseline_hidden": (3,)}),
    "rebar_muprop": (
        "rebar",
        {"relaxation": "muprop", "train_temperature": False, "temperature": 0.7},
    ),
    "relax": ("relax_rebar", {"critic_hidden": (3,)}),
}


def build(case, name, **settings):
    """Settings at a step, and control variates away from where they start."""
    settings = ESTIMATORS[name](**settings)
    model, params = network(case), parameters(case)
    key = jax.random.key(0)
    cv = objective.init_control_variates(model, params, settings, key)
    moved = randomised(cv, 5, 0.3)
    return EstimatorAtStep(settings, STEP), jax.tree.map(jnp.add, cv, moved)


def gradients(case, loss, num, seed=0, batch=5_000):
    """Gradients of a loss of parameters and key for many keys, in bounded memory."""
    keys = jax.random.split(jax.random.key(seed), num)
    each, params = jax.grad(loss), parameters(case)
    return flat_rows(map_in_chunks(lambda k: each(params, k), keys, chunk_size=batch))


#: Every estimator on one layer and on two; elsewhere one of each kind: several samples
#: jointly, nested, nested and relaxed below, with a critic.
KINDS = ("loo", "muprop", "rebar", "relax")
GRADIENTS = [
    *((case, name) for case in ("one_layer", "two_layers") for name in UNBIASED),
    *(("one_layer_analytic", name) for name in ("loo", "rebar")),
    *(("two_layers_analytic", name) for name in ("loo", "muprop", "rebar")),
    *((case, name) for case in ("categorical", "structured") for name in KINDS),
]


#: Nested and relaxed.
DAILY = [("two_layers_analytic", "rebar")]


@pytest.mark.parametrize(("which", "name"), daily(DAILY, GRADIENTS))
def test_gradients_are_those_of_the_exact_bound(which, name):
    """In every coordinate of every encoder, decoder and prior."""
    case = CASES[which]
    chosen, options = UNBIASED[name]
    estimator, cv = build(case, chosen, **options)
    model = network(case)

    def loss(params, key):
        return objective.loss(model, params, cv, estimator, key, IMAGE)

    exact = jax.grad(lambda p: exact_loss(case.model, p, IMAGE))
    exact = jax.jit(exact)(parameters(case))
    assert_unbiased(gradients(case, loss, case.num), flat(exact))


@pytest.mark.parametrize(
    ("which", "name"),
    daily(
        [("two_layers", "rebar")],
        list(
            itertools.product(
                ["two_layers", "two_layers_analytic", "structured"], ["loo", "rebar"]
            )
        ),
    ),
)
def test_the_value_is_the_bound(which, name):
    case = CASES[which]
    chosen, options = UNBIASED[name]
    estimator, cv = build(case, chosen, **options)
    model, params = network(case), parameters(case)

    def loss(key):
        return objective.loss(model, params, cv, estimator, key, IMAGE)

    values = jax.jit(jax.vmap(loss))(jax.random.split(jax.random.key(0), 20_000))
    exact = jax.jit(lambda: exact_loss(case.model, params, IMAGE))()
    assert_unbiased(values[:, None], np.array([exact]))


@pytest.mark.parametrize("which", ["one_layer_analytic", "two_layers"])
def test_enumeration_as_an_estimator_is_exact(which):
    """Value and gradient for every key."""
    case = CASES[which]
    estimator, cv = build(case, "exact")
    model = network(case)

    def loss(params):
        key = jax.random.key(7)
        return objective.loss(model, params, cv, estimator, key, IMAGE)

    got = jax.jit(jax.value_and_grad(loss))(parameters(case))
    exact = jax.value_and_grad(lambda p: exact_loss(case.model, p, IMAGE))
    assert_close(got, jax.jit(exact)(parameters(case)), rtol=1e-4)


@pytest.mark.thorough
@pytest.mark.parametrize("name", daily(["relax"], ["nvil", "rebar", "relax"]))
def test_gradients_of_control_variates_stay_in_their_layer(name):
    """Each layer's own signal trains it: all of its parameters have a gradient."""
    case = CASES["two_layers"]
    chosen, options = UNBIASED[name]
    estimator, cv = build(case, chosen, **options)
    model, params = network(case), parameters(case)

    def loss(cv, key):
        return objective.loss(model, params, cv, estimator, key, IMAGE)

    rows = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(
        cv, jax.random.split(jax.random.key(0), 100)
    )
    for path, row in jax.tree_util.tree_leaves_with_path(rows):
        assert np.all(np.isfinite(row)), path
        assert np.any(row != 0, axis=0).all(), path


# One run of the layers


#: Estimators to which the costs above a layer are one number: name and settings.
ONE_VALUE = {
    **{name: UNBIASED[name] for name in ("reinforce", "constant_baseline", "nvil")},
    "dice": ("dice", {"baseline": 1.0}),
    "running": ("reinforce_running_optimal_baseline", {}),
    "control_variate": ("control_variate", {"baseline_hidden": (3,)}),
    "black_box": ("relax", {"critic_hidden": (3,), "baseline_hidden": (3,)}),
}


def nested_loss(case, estimator):
    """A loss in which the objective of a layer holds the estimate of the next."""
    model = network(case)

    def loss(params, cv, key):
        keys = jax.random.split(key, model.depth)
        scored = jax.lax.stop_gradient(params)

        def expected(layer, below):
            if layer == model.depth:
                return jnp.zeros(())

            def f(z, inputs):
                q = model.posterior(scored, layer, below, IMAGE)
                cost = model.cost(params, layer, q, below, z, IMAGE, 1.0)
                return cost + expected(layer + 1, z)

            q = model.posterior(params, layer, below, IMAGE)
            estimate = estimator.build(f, cv[f"layer_{layer}"])
            value = estimate(keys[layer], q, model.inputs(layer, below, IMAGE))
            return model.divergence(params, layer, q) + value

        return expected(0, IMAGE)

    return loss


def both_gradients(case, loss, cv, num, seed):
    """Of the model and of the control variates, ``[num, coordinates]`` each."""
    params = parameters(case)
    each = jax.grad(loss, argnums=(0, 1))
    keys = jax.random.split(jax.random.key(seed), num)
    rows, trained = map_in_chunks(lambda key: each(params, cv, key), keys)
    has_cv = bool(jax.tree.leaves(cv))
    return flat_rows(rows), flat_rows(trained) if has_cv else np.zeros((num, 0))


@pytest.mark.thorough
@pytest.mark.parametrize("name", ONE_VALUE)
def test_one_run_of_the_layers_is_as_good_as_estimates_in_estimates(name):
    """Three layers of different widths: the exact mean, and no more variance."""
    case = CASES["three_layers"]
    chosen, options = ONE_VALUE[name]
    estimator, cv = build(case, chosen, **options)
    assert estimator.settings.sees_one_value
    model = network(case)

    def loss(params, cv, key):
        return objective.loss(model, params, cv, estimator, key, IMAGE)

    exact = jax.jit(jax.grad(lambda p: exact_loss(case.model, p, IMAGE)))
    one, one_cv = both_gradients(case, loss, cv, case.num, 0)
    assert_unbiased(one, flat(exact(parameters(case))))
    nested, nested_cv = both_gradients(case, nested_loss(case, estimator), cv, 10**5, 1)
    ratio = total_variance(one)[0] / total_variance(nested)[0]
    assert ratio == pytest.approx(1.0, abs=0.1)
    # What trains the control variates is the same signal.
    error = np.sqrt(one_cv.var(0) / len(one_cv) + nested_cv.var(0) / len(nested_cv))
    difference = np.abs(one_cv.mean(0) - nested_cv.mean(0))
    assert np.all(difference < K_SIGMA * error + 1e-6)


@pytest.mark.thorough
def test_repeats_are_runs_of_all_layers():
    """The variance of the mean of four is the fourth part."""
    case = CASES["two_layers"]
    variance = {}
    for num_repeats in (1, 4):
        estimator, cv = build(case, "reinforce", num_repeats=num_repeats)

        def loss(params, key, estimator=estimator, cv=cv):
            return objective.loss(network(case), params, cv, estimator, key, IMAGE)

        variance[num_repeats], _ = total_variance(gradients(case, loss, 40_000))
    assert variance[1] / variance[4] == pytest.approx(4.0, rel=0.1)


# Pathwise


PATHWISE = ("gumbel_softmax", "straight_through", "straight_through_gumbel_softmax")


@pytest.mark.parametrize(
    ("which", "name"),
    daily(
        [("two_layers", "gumbel_softmax")],
        [
            *(("two_layers", name) for name in PATHWISE),
            *((w, "gumbel_softmax") for w in ("categorical", "structured", "concrete")),
        ],
    ),
)
@pytest.mark.thorough
def test_a_bound_of_one_sample_is_the_loss(which, name):
    """One sample has keys of its own, so values and gradients agree on average."""
    case = (CASES | {"concrete": CONCRETE})[which]
    estimator, cv = build(case, name)
    model, params = network(case), parameters(case)

    def single(params, key):
        return objective.loss(model, params, cv, estimator, key, IMAGE)

    def several(params, key):
        return importance_loss(model, params, estimator, 1, key, IMAGE)

    def rows(loss, seed):
        keys = jax.random.split(jax.random.key(seed), 100_000)
        each = jax.value_and_grad(loss)
        return flat_rows(map_in_chunks(lambda key: each(params, key), keys))

    a, b = rows(single, 0), rows(several, 1)
    error = np.sqrt((a.var(axis=0) + b.var(axis=0)) / len(a))
    difference = np.abs(a.mean(axis=0) - b.mean(axis=0))
    # Of the value, which comes first, and of the largest derivative.
    size = np.full(a.shape[1], np.abs(a.mean(axis=0)[1:]).max())
    size[0] = np.abs(a.mean(axis=0)[0])
    assert np.all(4.5 * error < 0.05 * size)
    assert np.all(difference < 4.5 * error + 1e-6)


@pytest.mark.parametrize(
    ("which", "num_samples"),
    daily(
        [("two_layers", 2), ("structured", 1)],
        list(itertools.product(["one_layer", "two_layers", "structured"], [1, 2])),
    ),
)
def test_bounds_of_hard_samples_are_those_of_enumeration(which, num_samples):
    """Straight-through samples are hard, so that the value has an exact expectation."""
    case = CASES[which]
    estimator, _ = build(case, "straight_through")
    model, params = network(case), parameters(case)

    def loss(key):
        return importance_loss(model, params, estimator, num_samples, key, IMAGE)

    values = jax.jit(jax.vmap(loss))(jax.random.split(jax.random.key(0), 40_000))
    exact = jax.jit(lambda: exact_bound(case.model, params, IMAGE, num_samples))()
    assert_unbiased(values[:, None], -np.array([exact]))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("num_classes", "depth"),
    daily([(3, 2)], list(itertools.product([2, 3], [1, 2]))),
)
def test_concrete_densities_are_normalised(num_classes, depth):
    """With a decoder that ignores z, the mean of p(z) / q(z | x) over q is one."""
    model_settings = Generative(
        num_latents=(1,) * depth,
        num_classes=num_classes,
        divergence="concrete",
        prior_temperature=0.7,
    )
    case = dataclasses.replace(CONCRETE, model=model_settings)
    model = network(case)
    params = jax.tree.map(lambda x: 0.3 * x, randomised(parameters(case), 3))
    decoder = params["decoder"]["layer_0"]["output"]
    decoder["kernel"] = jnp.zeros_like(decoder["kernel"])
    likelihood = jax.nn.log_sigmoid((2 * IMAGE - 1) * decoder["bias"]).sum()
    estimator, cv = build(case, "gumbel_softmax", temperature=constant(0.9))

    def loss(key):
        return objective.loss(model, params, cv, estimator, key, IMAGE)

    keys = jax.random.split(jax.random.key(0), 200_000)
    weights = jnp.exp(-jax.jit(jax.vmap(loss))(keys) - likelihood)
    assert float(weights.std()) > 0.05
    assert_unbiased(weights[:, None], np.ones(1))


def test_concrete_densities_are_those_of_the_logistic_formula():
    """The cost of one relaxed sample, by the density of the Binary Concrete."""
    case = CONCRETE
    model, params = network(case), parameters(case)
    q = model.posterior(params, 0, IMAGE, IMAGE)
    y = jnp.array([0.3, -1.2])
    cost = model.cost(params, 0, q, IMAGE, y, IMAGE, 0.9)

    def log_density(logits, t):
        shifted = logits - t * y
        return jnp.sum(jnp.log(t) + shifted - 2 * jax.nn.softplus(shifted))

    weights = params["encoder"]["layer_0"]["output"]
    logits = (IMAGE - PIXEL_MEAN) @ weights["kernel"] + weights["bias"]
    decoder = params["decoder"]["layer_0"]["output"]
    pixels = (2 * jax.nn.sigmoid(y) - 1) @ decoder["kernel"] + decoder["bias"]
    expected = log_density(logits, 0.9) - log_density(params["prior"], 0.5)
    expected -= jax.nn.log_sigmoid((2 * IMAGE - 1) * pixels).sum()
    assert_close(cost, expected)
