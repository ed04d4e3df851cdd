"""Programs of decisions against enumeration, and what they refuse."""

import itertools

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from jaxdiscrete.core.latents import log_prob
from tests.graphs.problems import exact_gradient_of, gradients
from tests.helpers.statistics import assert_unbiased

PARAMS = {
    "a": jnp.array([0.4, -0.3]),
    "b": jnp.array([[0.5, -0.2, 0.1]]),
    "c": jnp.array(0.3),
    "w": jnp.array(0.8),
}


def first(params):
    return jd.Bernoulli(params["a"])


def second(params, z):
    shift = params["w"] * (z[0] - z[1]) * jnp.array([[1.0, 0.0, -1.0]])
    return jd.OneHotCategorical(params["b"] + shift)


def third(params, y):
    return {"top": jd.Bernoulli(params["c"] + params["w"] * y[0, 0])}


def costs(params, z, y, x):
    """What is charged after each layer, the last with parameters of its own."""
    one = 3.0 * z[0] - 2.0 * z[1]
    two = jnp.dot(y[0], jnp.array([4.0, -2.0, -3.0])) * (1.0 + z[0])
    three = params["w"] * x["top"] * (4.0 + y[0, 0] + z[1])
    return one, two, three


def weigh(z, *inputs):
    """A critic and a surrogate of a site of any shape."""
    del inputs
    return sum(
        (jnp.sum(x**2 * jnp.arange(1.0, x.size + 1.0).reshape(x.shape)) * 2.0)
        for x in jax.tree.leaves(z)
    )


def mean_of_weigh(q, *inputs):
    """Of bits and of one-hot vectors alike, since the square of either is itself."""
    return weigh(jax.tree.map(jnp.sqrt, mean_of(q)), *inputs)


def mean_of(q):
    is_leaf = lambda x: isinstance(x, jd.Bernoulli | jd.OneHotCategorical)  # noqa: E731
    return jax.tree.map(lambda d: d.mean(), q, is_leaf=is_leaf)


TRANSFORMS = {
    "reinforce": jd.reinforce,
    "baseline": lambda f: jd.reinforce(f, baseline=lambda *inputs: 4.0),
    "nvil": lambda f: jd.nvil(f, baseline=jnp.array(4.0)),
    "relax": lambda f: jd.relax(f, weigh, temperature=0.7),
    "rebar": lambda f: jd.rebar(f, temperature=0.7, relaxed_f=weigh),
    "muprop": lambda f: jd.muprop(f, relaxed_f=weigh),
    "control_variate": lambda f: jd.control_variate(f, weigh, mean_of_weigh),
}
SITES = {name: (t, t, t) for name, t in TRANSFORMS.items()}
SITES["mixed"] = (TRANSFORMS["rebar"], jd.reinforce, TRANSFORMS["nvil"])


def hierarchy(transforms):
    def model(sample, cost, params):
        z = sample(transforms[0], first(params))
        y = sample(transforms[1], second(params, z), z)
        x = sample(transforms[2], third(params, y), y)
        for value in costs(params, z, y, x):
            cost(value)

    return model


def exact(params):
    total = 0.0
    bits = [jnp.array(b) for b in itertools.product((0.0, 1.0), repeat=2)]
    classes = [jax.nn.one_hot(jnp.array([i]), 3) for i in range(3)]
    for z, y, x in itertools.product(bits, classes, (0.0, 1.0)):
        x = {"top": jnp.array(x)}
        log_p = log_prob(first(params), z) + log_prob(second(params, z), y)
        log_p += log_prob(third(params, y), x)
        total += jnp.exp(log_p) * sum(costs(params, z, y, x))
    return total


@pytest.mark.parametrize("name", SITES)
def test_a_hierarchy_of_different_shapes(name):
    estimate = jd.program(hierarchy(SITES[name]))
    _, samples = gradients(lambda p, k: estimate(k, p), PARAMS, num=200_000)
    assert_unbiased(samples, exact_gradient_of(exact, PARAMS))


def test_what_was_charged_before_is_no_credit():
    def model(sample, cost, logits):
        cost(jnp.array(1000.0))
        cost(2.0 * sample(jd.reinforce, jd.Bernoulli(logits)))

    gradient = jax.grad(jd.program(model), argnums=1)
    keys = jax.random.split(jax.random.key(0), 100)
    samples = jax.vmap(gradient, (0, None))(keys, 0.0)
    assert jnp.all(jnp.abs(samples) <= 1.0)


def test_aux_is_what_the_model_returns():
    def model(sample, cost):
        z = sample(jd.reinforce, jd.Bernoulli(jnp.array(0.3)))
        cost(z)
        return {"z": z}

    value, aux = jd.program(model, has_aux=True)(jax.random.key(0))
    assert value == aux["z"]


def equations(num_sites):
    """The size of the program of the gradient, and how often transforms are traced."""
    traces = 0

    def transform(f):
        nonlocal traces
        traces += 1
        return jd.relax(f, weigh, temperature=0.5)

    def model(sample, cost, logits):
        z = jnp.array(0.0)
        for i in range(num_sites):
            z = sample(transform, jd.Bernoulli(logits[i] + z))
            cost(z)

    jaxpr = jax.make_jaxpr(jax.grad(jd.program(model), 1))(
        jax.random.key(0), jnp.zeros(num_sites)
    )
    return len(jaxpr.jaxpr.eqns), traces


def test_the_program_is_linear_in_the_sites():
    (small, few), (large, many) = equations(20), equations(40)
    assert large <= 2.2 * small
    assert (few, many) == (40, 80)


def bernoulli(sample, transform=jd.reinforce):
    return sample(transform, jd.Bernoulli(jnp.array(0.3)))


def refuse(model, error, match):
    with pytest.raises(error, match=match):
        jax.eval_shape(jd.program(model), jax.random.key(0))


def test_a_model_that_samples_nothing_is_refused(no_compute):
    refuse(
        lambda sample, cost: cost(jnp.array(1.0)),
        ValueError,
        "to sample at least once, got none",
    )


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        (jnp.ones(2), ValueError, r"Expected the cost to return one real scalar, got"),
        (jnp.array(1), TypeError, "of a floating dtype, got int32"),
        ("3", TypeError, "one real scalar, got str"),
        (jnp.array(jnp.nan), ValueError, "a number, got NaN"),
    ],
)
def test_a_cost_that_is_no_real_scalar_is_refused(value, error, match, no_compute):
    def model(sample, cost):
        bernoulli(sample)
        cost(value)

    refuse(model, error, match)


def test_no_distribution_is_refused(no_compute):
    refuse(lambda sample, cost: sample(jd.reinforce, jnp.array(0.3)), TypeError, "q")


def test_calls_after_the_model_has_returned_are_refused():
    kept = []

    def model(sample, cost):
        kept.extend([sample, cost])
        cost(bernoulli(sample))

    jd.program(model)(jax.random.key(0))
    with pytest.raises(RuntimeError, match=r"Expected sample of jaxdiscrete\.program"):
        bernoulli(kept[0])
    with pytest.raises(RuntimeError, match="a call after it has returned"):
        kept[1](jnp.array(1.0))


@pytest.mark.parametrize("what", ["scan", "vmap"])
def test_a_site_inside_a_transformation_is_refused(what):
    def model(sample, cost):
        def one(x):
            return sample(jd.reinforce, jd.Bernoulli(x))

        xs = jnp.zeros(3)
        if what == "scan":
            zs = jax.lax.scan(lambda c, x: (c, one(x)), 0.0, xs)[1]
        else:
            zs = jax.vmap(one)(xs)
        cost(jnp.sum(zs))

    estimate = jd.program(model)
    with pytest.raises((TypeError, jax.errors.UnexpectedTracerError)):
        jax.jit(estimate)(jax.random.key(0))
    with pytest.raises(TypeError, match="got a call inside a transformation"):
        estimate(jax.random.key(0))
    with pytest.raises(TypeError, match=r"Use jaxdiscrete\.sequential for a scan"):
        estimate(jax.random.key(0))
