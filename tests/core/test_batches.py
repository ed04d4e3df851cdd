"""Chunks and placement, which every estimator of several samples offers."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import jaxdiscrete as jd
from jaxdiscrete.core.facts import ESTIMATORS
from jaxdiscrete.core.needs import SOLVER
from tests.helpers.parameters import daily
from tests.helpers.trees import assert_close

KEY = jax.random.key(9)
BITS = jd.Bernoulli(jnp.array([0.3, -0.8, 1.0]))
CLASSES = jd.OneHotCategorical(jnp.array([[0.3, -0.8, 1.0]]))
SCORES = jnp.array([0.3, -0.8, 1.0])

BUILD = {
    "arm": jd.arm,
    "disarm": functools.partial(jd.disarm, num_samples=4),
    "arms": functools.partial(jd.arms, num_samples=4),
    "carms": functools.partial(jd.carms, num_samples=4),
    "disarm_stick_breaking": functools.partial(jd.disarm_stick_breaking, num_samples=4),
    "arsm": jd.arsm,
    "bounds.local_disarm": functools.partial(jd.bounds.local_disarm, num_samples=4),
    "bounds.vimco": functools.partial(jd.bounds.vimco, num_samples=4),
    "bounds.multi_sample_nvil": functools.partial(
        jd.bounds.multi_sample_nvil, num_samples=4, baseline=0.3
    ),
    "reinforce_loo": functools.partial(jd.reinforce_loo, num_samples=4),
    "reinforce_optimal_baseline": functools.partial(
        jd.reinforce_optimal_baseline, num_samples=4
    ),
    "double_cv": functools.partial(jd.double_cv, num_samples=4, scale=0.7),
    "rodeo": lambda f, **options: jd.rodeo(
        f, lambda v, c, *args: 0.2 * v + c, num_samples=4, **options
    ),
    "unordered_set": functools.partial(jd.unordered_set, num_samples=4),
    "sum_and_sample": functools.partial(jd.sum_and_sample, num_samples=4),
    "partial_enumeration": functools.partial(jd.partial_enumeration, num_states=3),
    "local_expectation": jd.local_expectation,
    "measure_valued": jd.measure_valued,
    "exact": jd.exact,
    "imle": lambda f, **options: jd.imle(
        f, lambda t: jnp.round(t), step_size=1.0, num_samples=4, **options
    ),
}
MONTE_CARLO = {
    "monte_carlo": lambda f, **options: jd.monte_carlo(
        jd.reinforce(f), num_repeats=4, **options
    )
}


def f(z, t=1.0):
    z = z.reshape(-1)
    return t * (jnp.dot(z, jnp.array([1.0, -2.0, 1.5])) + z[0] * z[1] * z[2] ** 3)


def public(name):
    return functools.reduce(getattr, name.split("."), jd)


def q_of(name):
    if name not in ESTIMATORS:
        return BITS
    if ESTIMATORS[name].needs is SOLVER:
        return SCORES
    is_binary = ESTIMATORS[name].needs.num_classes == 2
    return BITS if is_binary or ESTIMATORS[name].family != "coupled" else CLASSES


def takes(option):
    return {n for n in ESTIMATORS if option in inspect.signature(public(n)).parameters}


def test_every_estimator_of_several_samples_has_both():
    assert takes("chunk_size") == set(BUILD)
    of_one_or_all = {"local_expectation", "measure_valued", "exact"}
    assert takes("sharding") == set(BUILD) - of_one_or_all
    several = {n for n, e in ESTIMATORS.items() if e.calls.formula not in ("1", "2")}
    assert several | {"arm"} == set(BUILD)


def gradients(name, *options):
    """Values and gradients with each of the options, from one program."""
    build = (BUILD | MONTE_CARLO)[name]

    @jax.jit
    def each(key, q, t):
        return [
            jax.value_and_grad(build(f, **chosen), argnums=(1, 2))(key, q, t)
            for chosen in options
        ]

    return each(KEY, q_of(name), jnp.array(1.3))


#: One for each place in which f is called at several samples.
DAILY = {"reinforce_loo", "disarm", "partial_enumeration", "imle"}


@pytest.mark.parametrize("name", daily(DAILY, [*BUILD, *MONTE_CARLO]))
def test_chunks_change_nothing(name):
    sizes = [{"chunk_size": size} for size in (1, 2, 100)]
    whole, *in_chunks = gradients(name, {}, *sizes)
    for chunked in in_chunks:
        assert_close(chunked, whole, rtol=1e-5)


# The two samples of ARM do not fill the mesh.
PLACED = sorted(takes("sharding") - {"arm"} | set(MONTE_CARLO))


@pytest.mark.parametrize("name", daily(["disarm", "monte_carlo"], PLACED))
def test_placement_changes_nothing(name):
    mesh = Mesh(np.array(jax.devices()[:4]), ("samples",))
    sharding = NamedSharding(mesh, PartitionSpec("samples"))
    placed, whole = gradients(name, {"sharding": sharding}, {})
    assert_close(placed, whole, rtol=1e-5)


@pytest.mark.parametrize("name", [*BUILD, *MONTE_CARLO])
@pytest.mark.parametrize(
    ("chunk_size", "error", "match"),
    [
        (0, ValueError, "chunk_size >= 1 in jaxdiscrete"),
        (2.0, TypeError, "chunk_size of jaxdiscrete.* to be a Python int, got float"),
    ],
)
def test_bad_chunks(name, chunk_size, error, match):
    with pytest.raises(error, match=match):
        (BUILD | MONTE_CARLO)[name](f, chunk_size=chunk_size)


@pytest.mark.parametrize(
    "name",
    daily(["disarm"], ["disarm", "unordered_set", "exact", "double_cv"]),
)
def test_memory_is_that_of_one_chunk(name):
    many = {"disarm": 64, "unordered_set": 64, "double_cv": 64}
    build = {
        "disarm": jd.disarm,
        "unordered_set": jd.unordered_set,
        "double_cv": functools.partial(jd.double_cv, scale=0.5),
    }
    q = jd.Bernoulli(jnp.zeros(8))
    weights = jnp.ones((8, 20_000))

    def heavy(z, weights):
        return jnp.sum(jnp.tanh(z @ weights) ** 2)

    def memory(chunk_size):
        if name == "exact":
            estimate = jd.exact(heavy, chunk_size=chunk_size)
        else:
            estimate = build[name](heavy, num_samples=many[name], chunk_size=chunk_size)
        compiled = jax.jit(jax.grad(estimate, argnums=(1, 2))).lower(KEY, q, weights)
        return compiled.compile().memory_analysis().temp_size_in_bytes

    assert memory(4) < 0.35 * memory(None)
