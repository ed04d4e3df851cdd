"""The estimators on meshes whose axes are part of the types of arrays."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import jaxdiscrete as jd
from tests.battery.control_variates import initial_cv
from tests.battery.estimators import ALL, MAIN
from tests.battery.problems import KINDS
from tests.helpers.parameters import daily
from tests.helpers.trees import assert_close

pytestmark = pytest.mark.skipif(
    jax.__version_info__ < (0, 10), reason="explicit meshes need JAX 0.10"
)

EXACT = "exact"
DATA = P("data")
#: How logits [examples, variables, classes] are split.
SPLITS = {
    "latents": P("data", "model"),
    "classes": P("data", None, "model"),
    "data": P("data"),
}
KEYS = jax.random.key_data(jax.random.split(jax.random.key(1), 2))
LOGITS = np.random.default_rng(0).normal(size=(2, 2, 4)).astype(np.float32)
THETA = np.linspace(-1.0, 1.5, 8, dtype=np.float32).reshape(2, 4)


def mesh_of(axis_type):
    devices = jax.devices()[:4]
    types = (axis_type,) * 2
    return jax.make_mesh((2, 2), ("data", "model"), axis_types=types, devices=devices)


def f(z, theta):
    return jnp.sum(jnp.sin(theta * z)) + jnp.square(jnp.sum(theta * z))


def loss_of(name):
    def one(key, logits, theta, cv):
        if name == EXACT:
            return jd.exact(f)(key, jd.OneHotCategorical(logits), theta)
        estimate = ALL[name].make(f, cv, False)
        kind = "binary" if ALL[name].kind == "binary" else "categorical"
        return estimate(key, KINDS[kind].of(logits), theta)

    def loss(logits, theta, cv, keys):
        keys = jax.random.wrap_key_data(keys)
        return jnp.sum(jax.vmap(one, (0, 0, None, None))(keys, logits, theta, cv))

    return jax.jit(jax.value_and_grad(loss, (0, 1, 2)))


def gradients_on(mesh, name, split):
    def put(x, spec):
        return jax.device_put(x, NamedSharding(mesh, spec))

    spec = SPLITS[split]
    of_theta = P(*spec[1:])
    with jax.set_mesh(mesh):
        cv = jax.tree.map(lambda x: put(x, P()), initial_cv())
        args = (put(LOGITS, spec), put(THETA, of_theta), cv, put(KEYS, DATA))
        return loss_of(name)(*args)


# Of the ways in which samples are drawn and gradients made.
CHOSEN = [
    ("reinforce_loo", "classes"),
    (EXACT, "data"),
]
EVERY = [(name, split) for name in [*MAIN, EXACT] for split in SPLITS]


@pytest.mark.parametrize(("name", "split"), daily(CHOSEN, EVERY))
def test_explicit_meshes_give_the_numbers_of_one_device(name, split):
    """Examples split, and their variables or classes, with all that goes with them."""
    expected = loss_of(name)(LOGITS, THETA, initial_cv(), KEYS)
    mesh = mesh_of(AxisType.Explicit)
    value, gradients = gradients_on(mesh, name, split)
    as_logits = NamedSharding(mesh, SPLITS[split])
    assert gradients[0].sharding.is_equivalent_to(as_logits, ndim=3)
    assert_close((value, gradients), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "split"), EVERY)
def test_automatic_meshes_give_the_numbers_of_one_device(name, split):
    expected = loss_of(name)(LOGITS, THETA, initial_cv(), KEYS)
    actual = gradients_on(mesh_of(AxisType.Auto), name, split)
    assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    daily(["reinforce_loo"], ["reinforce_loo", "double_cv", "disarm", "unordered_set"]),
)
def test_samples_are_placed_on_an_explicit_mesh(name):
    mesh = mesh_of(AxisType.Explicit)
    options = {"num_samples": 4} | ({"scale": 0.5} if name == "double_cv" else {})

    def gradient(sharding, logits):
        estimate = getattr(jd, name)(f, sharding=sharding, **options)
        loss = lambda x: estimate(jax.random.key(3), jd.Bernoulli(x), THETA)  # noqa: E731
        return jax.jit(jax.grad(loss))(logits)

    expected = gradient(None, LOGITS[0])
    with jax.set_mesh(mesh):
        logits = jax.device_put(LOGITS[0], NamedSharding(mesh, P(None, "model")))
        actual = gradient(NamedSharding(mesh, DATA), logits)
    assert_close(actual, expected, rtol=1e-4, atol=1e-5)


NUM_CLASSES = 4096
SAMPLING = {
    "sample": lambda q, key: q.sample(key),
    "log_prob": lambda q, key: q.log_prob(q.sample(key)),
    "relaxed": lambda q, key: q.threshold(q.relaxed_sample(key)),
}


def largest_gathered(fn, spec, mesh):
    """How many numbers the largest of all arrays has that a program gathers."""
    logits = jnp.zeros((2, NUM_CLASSES))
    logits = jax.device_put(logits, NamedSharding(mesh, spec))
    with jax.set_mesh(mesh):
        text = jax.jit(fn).lower(logits).compile().as_text()
    # A result of several arrays stands in parentheses, each with its shape.
    gathers = re.findall(r"= (.*?) (?:all-gather|all-to-all)(?:-start)?\(", text)
    shapes = re.findall(r"\[([\d,]*)\]", " ".join(gathers))
    return max([int(np.prod([int(n) for n in s.split(",") if n])) for s in shapes])


@pytest.mark.parametrize("axis_type", [AxisType.Explicit, AxisType.Auto], ids=str)
@pytest.mark.parametrize("how", daily(["sample"], list(SAMPLING)))
def test_no_device_sees_a_vocabulary_that_is_split(how, axis_type):
    def fn(logits):
        return SAMPLING[how](jd.OneHotCategorical(logits), jax.random.key(0))

    split = P(None, ("data", "model"))
    gathered = largest_gathered(fn, split, mesh_of(axis_type))
    assert gathered < NUM_CLASSES / 4, gathered


def test_no_device_sees_the_items_of_a_subset():
    def fn(logits):
        q = jd.Subset(logits, 3)
        return q.log_prob(q.sample(jax.random.key(0)))

    split = P(None, ("data", "model"))
    assert largest_gathered(fn, split, mesh_of(AxisType.Explicit)) < NUM_CLASSES / 4


def test_the_programs_that_gather_are_told_apart():
    def fn(logits):
        return jnp.sort(logits, axis=-1)

    split = P(None, ("data", "model"))
    assert largest_gathered(fn, split, mesh_of(AxisType.Auto)) >= NUM_CLASSES
