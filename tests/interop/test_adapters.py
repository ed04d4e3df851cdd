"""Distributions of distrax, numpyro and TFP as samplers, against closed forms."""

import functools
import importlib
import inspect
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.parameters import daily
from tests.helpers.statistics import K_SIGMA, assert_unbiased, map_in_chunks
from tests.helpers.trees import assert_close

# Warnings of TFP in use, not of this library.
pytestmark = [
    pytest.mark.usefixtures("their_own_promotion"),
    pytest.mark.filterwarnings("ignore:shape requires ndarray or scalar"),
    pytest.mark.filterwarnings("ignore:Explicitly requested dtype"),
]
KEY = jax.random.key(3)
LOGITS = jnp.array([0.8, -0.6, 0.3])
WEIGHTS = jnp.array([3.0, -2.0, 1.0])
COUNT_WEIGHTS = jnp.array([1.0, 4.0, 2.0])


@functools.cache
def library(name):
    """An optional library, whose warnings while it is imported are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return importlib.import_module(name)
        except ImportError:
            return None


def need(name):
    module = library(name)
    if module is None:
        pytest.skip(f"{name} is not installed")
    return module


def distrax():
    return need("distrax")


def numpyro():
    return need("numpyro.distributions")


def tfp():
    return need("tensorflow_probability.substrates.jax").distributions


def linear(z):
    return 2.0 + jnp.dot(z.astype(jnp.float32), WEIGHTS)


def indexed(z):
    return 2.0 + WEIGHTS[z]


def weighted_squares(z):
    return jnp.dot(z.astype(jnp.float32) ** 2, COUNT_WEIGHTS)


def mean_of_bits(logits):
    return 2.0 + jnp.dot(jax.nn.sigmoid(logits), WEIGHTS)


def mean_of_classes(logits):
    return 2.0 + jnp.dot(jax.nn.softmax(logits), WEIGHTS)


def mean_of_squared_counts(log_rates):
    rates = jnp.exp(log_rates)
    return jnp.dot(rates + rates**2, COUNT_WEIGHTS)


# How the distribution is built from three numbers, an objective, and its expectation.
CASES = {
    "distrax_bernoulli": (
        lambda x: distrax().Bernoulli(logits=x),
        linear,
        mean_of_bits,
    ),
    "distrax_categorical": (
        lambda x: distrax().Categorical(logits=x),
        indexed,
        mean_of_classes,
    ),
    "distrax_one_hot": (
        lambda x: distrax().OneHotCategorical(logits=x),
        linear,
        mean_of_classes,
    ),
    "distrax_independent": (
        lambda x: distrax().Independent(distrax().Bernoulli(logits=x), 1),
        linear,
        mean_of_bits,
    ),
    "numpyro_categorical": (
        lambda x: numpyro().Categorical(probs=jax.nn.softmax(x)),
        indexed,
        mean_of_classes,
    ),
    "numpyro_independent": (
        lambda x: numpyro().BernoulliLogits(x).to_event(1),
        linear,
        mean_of_bits,
    ),
    "numpyro_poisson": (
        lambda x: numpyro().Poisson(jnp.exp(x)),
        weighted_squares,
        mean_of_squared_counts,
    ),
    "tfp_one_hot": (
        lambda x: tfp().OneHotCategorical(logits=x),
        linear,
        mean_of_classes,
    ),
    "tfp_independent": (
        lambda x: tfp().Independent(tfp().Bernoulli(logits=x), 1),
        linear,
        mean_of_bits,
    ),
}
#: A bit and a joint one of classes; what is not finite is tested by tests of its own.
all_cases = pytest.mark.parametrize(
    "name", daily(["distrax_bernoulli", "tfp_one_hot"], CASES)
)


def loss_of(name, num_samples=4):
    build, f, _ = CASES[name]
    estimate = jd.reinforce_loo(f, num_samples=num_samples)
    return lambda x, key: estimate(key, jd.as_sampler(build(x)))


@all_cases
def test_gradient_is_unbiased(name):
    loss, (_, _, expectation) = loss_of(name), CASES[name]
    keys = jax.random.split(KEY, 40_000)
    both = jax.value_and_grad(loss)
    values, grads = map_in_chunks(lambda key: both(LOGITS, key), keys)
    assert_unbiased(grads, jax.jit(jax.grad(expectation))(LOGITS))
    assert_unbiased(values[:, None], expectation(LOGITS)[None])


@all_cases
def test_both_kinds_of_keys_and_vmap(name):
    gradient = jax.value_and_grad(loss_of(name))
    compiled = jax.jit(gradient)
    rows, keys = jnp.stack([LOGITS, -LOGITS]), jax.random.split(KEY, 2)
    old_keys = jax.random.key_data(keys)
    loop = [compiled(x, k) for x, k in zip(rows, old_keys, strict=True)]
    loop = jax.tree.map(lambda *x: jnp.stack(x), *loop)
    mapped = jax.jit(jax.vmap(gradient))(rows, keys)
    assert_close(mapped, loop, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["distrax_bernoulli", "tfp_one_hot"])
def test_a_batch_of_distributions_is_mapped(name):
    """The shapes of distrax and TFP follow their parameters."""
    if name.startswith("tfp") and jax.__version_info__ < (0, 10):
        pytest.skip("on older JAX, vmap over a TFP distribution is an error of TFP")
    build, f, _ = CASES[name]
    rows, keys = jnp.stack([LOGITS, -LOGITS]), jax.random.split(KEY, 2)
    estimate = jd.reinforce_loo(f, num_samples=4)
    batch = jd.as_sampler(build(rows))
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(estimate, 1)))(keys, batch)
    expected = jax.jit(jax.vmap(jax.value_and_grad(loss_of(name))))(rows, keys)
    assert_close((value, jax.tree.leaves(gradient)[0]), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["numpyro_poisson", "numpyro_categorical", "numpyro_independent"]
)
def test_a_batch_of_numpyro_is_refused_and_not_sampled_in_the_wrong_shape(name):
    build, f, _ = CASES[name]
    rows, keys = jnp.stack([LOGITS, -LOGITS]), jax.random.split(KEY, 2)
    stale = build(rows)
    shapes = jax.vmap(lambda d, k: d.sample(k))(stale, keys).shape
    assert shapes[:2] == (2, 2), "numpyro follows its parameters: lift the refusal"
    match = r"(?s)batch_shape and event_shape follow its param.*inside jax\.vmap"
    batch = jd.as_sampler(stale)
    with pytest.raises(ValueError, match=match):
        jax.vmap(jd.reinforce_loo(f, num_samples=4))(keys, batch)
    with pytest.raises(ValueError, match=match):
        jax.vmap(lambda d, k: d.sample(k))(batch, keys)
    with pytest.raises(ValueError, match=match):
        jax.vmap(lambda d: d.log_prob(jnp.zeros(3)))(batch)
    with pytest.raises(ValueError, match=match):
        jax.lax.scan(lambda c, d: (c, d.log_prob(jnp.zeros(3))), 0, batch)


@pytest.mark.thorough
def test_numpyro_built_or_wrapped_inside_vmap_is_mapped():
    rows, keys = jnp.stack([LOGITS, -LOGITS]), jax.random.split(KEY, 2)
    build, _, _ = CASES["numpyro_independent"]
    batch = jax.vmap(lambda x: jd.as_sampler(build(x)))(rows)
    estimate = jd.reinforce_loo(linear, num_samples=4)
    gradient = jax.vmap(jax.grad(estimate, 1))(keys, batch)
    expected = jax.jit(jax.vmap(jax.grad(loss_of("numpyro_independent"))))(rows, keys)
    assert_close(jax.tree.leaves(gradient)[0], expected, rtol=1e-4, atol=1e-5)


def test_what_a_class_stores_need_not_be_what_it_was_built_from():
    """Why the distribution is to be built inside the differentiated function."""
    estimate = jd.reinforce(indexed)
    keys = jax.random.split(KEY, 20_000)
    q = jd.as_sampler(distrax().Categorical(logits=LOGITS))
    to_stored = jax.jit(jax.vmap(jax.grad(estimate, 1), (0, None)))(keys, q)
    stored = np.asarray(to_stored.distribution.logits)
    assert abs(stored.mean(axis=0).sum()) > 1.0
    exact = jax.jit(jax.grad(mean_of_classes))(LOGITS)
    assert abs(exact.sum()) < 1e-6


@pytest.mark.thorough
def test_joint_distributions_have_trees_of_samples():
    bits = {"a": LOGITS, "b": -LOGITS}

    def f(z):
        a, b = z["a"].astype(jnp.float32), z["b"].astype(jnp.float32)
        return jnp.sum(a) + jnp.sum(b) + a[0] * b[0]

    def exact(bits):
        a, b = jax.nn.sigmoid(bits["a"]), jax.nn.sigmoid(bits["b"])
        return jnp.sum(a) + jnp.sum(b) + a[0] * b[0]

    for build, joint in (
        (distrax().Bernoulli, distrax().Joint),
        (tfp().Bernoulli, tfp().JointDistributionNamed),
    ):

        def loss(bits, key, build=build, joint=joint):
            q = joint({name: build(logits=x) for name, x in bits.items()})
            return jd.reinforce_loo(f, num_samples=4)(key, jd.as_sampler(q))

        keys = jax.random.split(KEY, 40_000)
        grads = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(bits, keys)
        for name in bits:
            assert_unbiased(grads[name], jax.jit(jax.grad(exact))(bits)[name])


def test_it_is_one_leaf_of_a_pytree_of_distributions():
    q = {
        "a": jd.as_sampler(distrax().Categorical(logits=LOGITS)),
        "b": jd.Bernoulli(LOGITS),
    }
    f = lambda z: indexed(z["a"]) * linear(z["b"])  # noqa: E731
    estimate = jd.reinforce_loo(f, num_samples=2)
    gradient = jax.jit(jax.grad(estimate, 1))(KEY, q)
    assert jax.tree.structure(gradient) == jax.tree.structure(q)
    assert isinstance(q["a"], jd.Sampler)


def test_an_unwrapped_distribution_names_the_wrapper():
    match = r"sample by sample\(key\), got .* Wrap it with jaxdiscrete\.as_sampler"
    for q in (
        distrax().Bernoulli(logits=LOGITS),
        tfp().Bernoulli(logits=LOGITS),
        {"a": jd.Bernoulli(LOGITS), "b": distrax().Categorical(logits=LOGITS)},
    ):
        with pytest.raises(TypeError, match=match):
            jd.reinforce_loo(lambda z: 0.0, num_samples=2)(KEY, q)


def test_an_estimator_that_relaxes_refuses_it():
    q = jd.as_sampler(distrax().Bernoulli(logits=LOGITS))
    with pytest.raises(TypeError, match=r"no relaxation\. Use jaxdiscrete\.reinforce_"):
        jd.rebar(linear, temperature=0.5, scale=1.0)(KEY, q)


@pytest.mark.parametrize("of", [distrax, numpyro, tfp])
def test_a_gaussian_may_have_a_control_whose_mean_is_known(of):
    """One that equals f leaves nothing of the score, and its scale can be trained."""
    mean_of_f = lambda loc, scale: jnp.sum(loc**2 + scale**2 + loc)  # noqa: E731
    f = lambda z: jnp.sum(z**2 + z)  # noqa: E731
    mean = lambda q: mean_of_f(q.distribution.loc, q.distribution.scale)  # noqa: E731

    @functools.partial(jax.grad, argnums=(0, 1))
    def gradient(logits, scale, key):
        q = jd.as_sampler(of().Normal(logits, jnp.exp(-logits)))
        return jd.control_variate(f, f, mean, scale=scale)(key, q)

    exact = jax.grad(lambda x: mean_of_f(x, jnp.exp(-x)))(LOGITS)
    each = jax.jit(jax.vmap(gradient, (None, None, 0)))
    found = {}
    for scale in (0.5, 1.0):
        keys = jax.random.split(KEY, 4_000)
        to_logits, to_scale = each(LOGITS, scale, keys)
        found[scale] = to_scale.mean() / (to_scale.std() / 4_000**0.5)
    np.testing.assert_allclose(to_logits, jnp.tile(exact, (4_000, 1)), rtol=1e-3)
    assert abs(found[1.0]) < K_SIGMA
    assert found[0.5] < -K_SIGMA


def test_controls_need_parameters_and_one_scale(no_compute):
    q = jd.as_sampler(numpyro().Normal(LOGITS, 1.0))
    mean = lambda q: jnp.sum(q.distribution.loc)  # noqa: E731
    with pytest.raises(ValueError, match=r"scale to be one number for .*got shape \(3"):
        jd.control_variate(jnp.sum, jnp.sum, mean, scale=jnp.ones(3))(KEY, q)
    counts = jd.as_sampler(numpyro().Binomial(4, probs=0.3))
    with pytest.raises(TypeError, match=r"control_variate, got _Pytree.*has only s"):
        jd.control_variate(jnp.sum, jnp.sum, mean)(KEY, counts)


def test_the_module_imports_none_of_them():
    import jaxdiscrete.interop.adapters

    source = inspect.getsource(jaxdiscrete.interop.adapters)
    assert "import distrax" not in source
    assert "import numpyro" not in source
    assert "import tensorflow" not in source
