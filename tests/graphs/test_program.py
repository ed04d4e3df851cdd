"""Programs of decisions against enumeration, and what they refuse."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from jaxdiscrete.core.latents import log_prob
from tests.graphs.problems import exact_gradient_of, gradients
from tests.helpers.parameters import daily
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


@pytest.mark.parametrize("name", daily(["mixed"], SITES))
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
    samples = jax.jit(jax.vmap(gradient, (0, None)))(keys, 0.0)
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
        return jd.reinforce(f, baseline=jnp.array(1.0))

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
    (small, few), (large, many) = equations(6), equations(12)
    assert large <= 2.2 * small
    assert (few, many) == (12, 24)


def test_tracing_makes_no_error_whose_text_walks_through_the_program(monkeypatch):
    """JAX looks for where a traced value comes from, in all that is traced so far."""

    def fail(error, tracer):
        raise AssertionError("a traced value was asked for its number")

    monkeypatch.setattr(jax.errors.TracerArrayConversionError, "__init__", fail)
    assert equations(1)


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


def charge(value):
    """A function of no arguments that charges a value from outside of it."""
    return lambda sample, cost: (cost(value), jnp.zeros(()))[1]


def draw(sample, cost):
    return bernoulli(sample)


def in_scan(one):
    return jax.lax.scan(lambda c, x: (c, one()), 0.0, None, length=3)[1].sum()


def in_cond(one):
    return jax.lax.cond(jnp.array(False), one, lambda: jnp.zeros(()))


def in_while(one):
    step = lambda c: (c[0] + 1.0, one())  # noqa: E731
    return jax.lax.while_loop(lambda c: c[0] < 3.0, step, (0.0, jnp.zeros(())))[1]


INSIDE = {
    "scan": in_scan,
    "cond": in_cond,
    "while": in_while,
    "jit": lambda one: jax.jit(lambda: one())(),
    "remat": lambda one: jax.checkpoint(lambda: one())(),
    "vmap": lambda one: jax.vmap(lambda x: x * one())(jnp.arange(3.0)).sum(),
    "grad": lambda one: jax.value_and_grad(lambda x: x * one())(2.0)[0],
}


@pytest.mark.parametrize("what", ["scan", "cond", "while", "jit", "remat"])
@pytest.mark.parametrize("is_cost", [False, True])
def test_calls_inside_a_transformation_are_refused(what, is_cost):
    """They would happen once, a cost also where its branch is not taken."""

    def model(sample, cost):
        z = bernoulli(sample)
        one = charge(3.0 * z) if is_cost else draw
        cost(INSIDE[what](lambda: one(sample, cost)))

    estimate = jd.program(model)
    with pytest.raises(TypeError, match="got a call inside a transformation"):
        estimate(jax.random.key(0))
    with pytest.raises(jax.errors.UnexpectedTracerError):
        jax.jit(estimate)(jax.random.key(0))


@pytest.mark.parametrize(
    ("what", "under_jit"),
    [("vmap", TypeError), ("grad", jax.errors.UnexpectedTracerError)],
)
def test_calls_that_depend_on_what_is_transformed_are_refused(what, under_jit):
    def model(sample, cost):
        z = bernoulli(sample)
        if what == "vmap":
            jax.vmap(lambda x: cost(x * z))(jnp.arange(3.0))
        else:
            jax.grad(lambda x: (cost(x * z), x)[1])(2.0)

    with pytest.raises(TypeError, match=r"Use jaxdiscrete\.sequential for a scan"):
        jd.program(model)(jax.random.key(0))
    with pytest.raises(under_jit):
        jax.jit(jd.program(model))(jax.random.key(0))


@pytest.mark.parametrize(
    ("is_compiled", "what"),
    daily(
        [(False, "grad"), (True, "vmap"), (True, "grad")],
        list(itertools.product([False, True], ["vmap", "grad"])),
    ),
)
def test_one_call_is_one_decision(what, is_compiled):
    """In a transformation of which it sees nothing it is shared."""

    def model(sample, cost, logits):
        def one():
            return sample(jd.reinforce, jd.Bernoulli(logits))

        cost(INSIDE[what](one) ** 2)

    run = jax.value_and_grad(jd.program(model), argnums=1)
    keys, logits = jax.random.split(jax.random.key(0), 8), jnp.array(0.3)
    run = jax.vmap(run, (0, None))
    values, gradients = (jax.jit(run) if is_compiled else run)(keys, logits)
    z = values / (9.0 if what == "vmap" else 4.0)
    assert set(np.unique(z)) == {0.0, 1.0}
    expected = values * (z - jax.nn.sigmoid(logits))
    np.testing.assert_allclose(gradients, expected, rtol=1e-5)


@pytest.mark.thorough
def test_conditionals_and_loops_of_python():
    """Outside of jit decisions are known: each draws as many more as it is told."""

    def model(sample, cost, logits):
        count = 0
        while sample(jd.reinforce, jd.Bernoulli(logits[0])) > 0:
            count += 1
        if count % 2:
            cost(3.0 * sample(jd.reinforce, jd.Bernoulli(logits[1])))
        else:
            cost(jnp.array(1.0) * count)

    logits = jnp.array([1.0, -0.3])
    p = jax.nn.sigmoid(logits)
    run = jax.value_and_grad(jd.program(model, has_aux=False), argnums=1)
    counts = set()
    for seed in range(8):
        value, gradient = run(jax.random.key(seed), logits)
        zs = replayed(model, jax.random.key(seed), logits)
        count = sum(zs[0])
        score = count * (1.0 - p[0]) - p[0]
        last = zs[1][0] - p[1] if count % 2 else 0.0
        np.testing.assert_allclose(gradient, value * np.array([score, last]), rtol=1e-5)
        counts.add(count)
    assert len(counts) > 2


def replayed(model, key, logits):
    """The decisions of each logit in a run of the same key."""
    seen = []

    def watched(sample, cost, logits):
        def sample_and_see(transform, q):
            z = sample(transform, q)
            seen.append((float(q.logits), float(z)))
            return z

        model(sample_and_see, cost, logits)

    jd.program(watched)(key, logits)
    return [[z for value, z in seen if value == float(x)] for x in logits]


def test_a_key_must_be_one():
    with pytest.raises(TypeError, match=r"jaxdiscrete\.program .* a PRNG key, got int"):
        jd.program(lambda sample, cost: None)(0)
