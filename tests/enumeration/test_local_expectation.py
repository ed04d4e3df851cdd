"""Local expectations against the conditional expectation that they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.parameters import daily
from tests.helpers.statistics import exact_gradient, gradient_samples
from tests.helpers.trees import assert_close

KEY = jax.random.key(0)
ROWS = jnp.array([[0.3, -0.2, 0.5], [1.0, 0.0, -jnp.inf]])
MIXED = {"a": jd.Bernoulli(jnp.array([0.4, -0.8])), "b": jd.OneHotCategorical(ROWS)}
BITS = {"a": jd.Bernoulli(jnp.array([0.4])), "b": jd.Bernoulli(ROWS)}


def side_by_side(z):
    return jnp.concatenate([z["a"], z["b"].reshape(-1)])


def coupled_f(z):
    x = side_by_side(z)
    weights = jnp.sin(jnp.arange(float(x.size**2))).reshape(x.size, x.size)
    return 3.0 * jnp.sum(jnp.outer(x, x) * weights) + jnp.exp(x[0] + x[3] - x[4])


@pytest.mark.thorough
def test_functions_that_are_sums_over_variables_have_no_variance():
    def additive(z):
        a = jnp.exp(z["a"]) * jnp.array([2.0, -1.0])
        return jnp.sum(a) + jnp.sum(jnp.cos(jnp.arange(3.0))[None] * z["b"] ** 3)

    samples = gradient_samples(jd.local_expectation(additive), MIXED, num=200)
    expected = np.broadcast_to(exact_gradient(additive, MIXED), samples.shape)
    np.testing.assert_allclose(samples, expected, atol=2e-6)


@pytest.mark.parametrize(
    "q",
    [
        jd.Bernoulli(jnp.array([0.7])),
        jd.OneHotCategorical(jnp.array([0.5, -0.2, 0.1, -jnp.inf])),
        pytest.param(
            jd.OneHotCategorical(jnp.array([[0.5]])), marks=pytest.mark.thorough
        ),
    ],
    ids=["bit", "categorical", "one class"],
)
def test_one_variable_is_enumerated(q):
    def f(z):
        return jnp.exp(jnp.sum(z * jnp.arange(float(z.size)).reshape(z.shape)))

    samples = gradient_samples(jd.local_expectation(f), q, num=50)
    expected = np.broadcast_to(exact_gradient(f, q), samples.shape)
    np.testing.assert_allclose(samples, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.thorough
def test_it_is_reinforce_given_the_other_variables():
    """For every variable the exact E[f(z) grad log q(z) | the other variables]."""
    estimate = jd.local_expectation(lambda z: (coupled_f(z), z), has_aux=True)
    gradient = jax.jit(jax.vmap(jax.grad(estimate, 1, has_aux=True), (0, None)))
    got, z = gradient(jax.random.split(KEY, 60), MIXED)

    probabilities = {
        "a": np.stack([1.0 - MIXED["a"].mean(), MIXED["a"].mean()], -1),
        "b": np.asarray(MIXED["b"].mean()),
    }

    def with_class(z, part, v, c):
        value = np.array(z[part])
        value[v] = c if part == "a" else np.eye(3)[c]
        return z | {part: jnp.asarray(value)}

    f = jax.jit(coupled_f)
    for i in range(60):
        one = jax.tree.map(lambda x, i=i: x[i], z)
        for part, rows in probabilities.items():
            for v, pi in enumerate(rows):
                values = [f(with_class(one, part, v, c)) for c in range(len(pi))]
                # grad log pi_c in the logits is e_c - pi, of which a bit has one.
                by_logit = pi * (np.asarray(values) - np.dot(pi, values))
                expected = by_logit[1] if part == "a" else by_logit
                np.testing.assert_allclose(
                    got[part].logits[i, v], expected, rtol=1e-4, atol=1e-4
                )


@pytest.mark.thorough
def test_variance_is_at_most_that_of_reinforce():
    ours = gradient_samples(jd.local_expectation(coupled_f), MIXED, num=50_000)
    reinforce = gradient_samples(jd.reinforce(coupled_f), MIXED, num=50_000)
    assert np.all(ours.var(axis=0)[:-1] < 0.8 * reinforce.var(axis=0)[:-1])
    assert np.all(ours[:, -1] == 0)  # the masked class


@pytest.mark.thorough
@pytest.mark.parametrize("chunk_size", daily([2], [None, 2]))
def test_measure_valued_is_the_local_expectation_of_bits(chunk_size):
    ours = gradient_samples(
        jd.measure_valued(coupled_f, chunk_size=chunk_size), BITS, num=50
    )
    local = gradient_samples(jd.local_expectation(coupled_f), BITS, num=50)
    np.testing.assert_allclose(ours, local, rtol=1e-5)


def test_measure_valued_is_the_formula_of_its_docstring():
    q = jd.Bernoulli(jnp.array([0.3, -0.8, 1.0]))
    f = lambda z: jnp.exp(z[0] - 2.0 * z[1] * z[2])  # noqa: E731
    estimate = jd.measure_valued(lambda z: (f(z), z), has_aux=True)
    gradient, z = jax.jit(jax.grad(estimate, 1, has_aux=True))(KEY, q)
    p = np.asarray(q.mean())
    expected = [
        p[v] * (1 - p[v]) * (f(z.at[v].set(1.0)) - f(z.at[v].set(0.0)))
        for v in range(3)
    ]
    np.testing.assert_allclose(gradient.logits, expected, rtol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("chunk_size", [1, 3, 5, 100])
def test_chunks_give_the_same_gradient(chunk_size):
    def loss(q, theta, chunk_size):
        f = lambda z: theta * coupled_f(z)  # noqa: E731
        return jd.local_expectation(f, chunk_size=chunk_size)(KEY, q)

    both = jax.jit(jax.value_and_grad(loss, (0, 1)), static_argnums=2)
    theta = jnp.array(1.5)
    assert_close(both(MIXED, theta, chunk_size), both(MIXED, theta, None), rtol=1e-4)


def test_chunks_need_the_memory_of_one_chunk():
    weights = jnp.ones((256, 512))

    def f(z, w):
        return jnp.sum(jnp.sin(jnp.tanh(z @ w) * 2.0))

    def temporary_bytes(chunk_size):
        estimate = jd.local_expectation(f, chunk_size=chunk_size)
        q = jd.Bernoulli(jnp.zeros(256))
        compiled = jax.jit(jax.grad(estimate, 1)).lower(KEY, q, weights).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert temporary_bytes(16) < temporary_bytes(None) / 3


@pytest.mark.parametrize(
    "q",
    [
        jd.OneHotCategorical(jnp.array([[0.3, -jnp.inf, 0.5], [1.0, 0.2, 0.1]])),
        jd.Bernoulli(jnp.array([0.3, -jnp.inf, jnp.inf])),
        jd.Bernoulli(jnp.array([0.3, -1e4, 1e4])),
    ],
    ids=["masked", "infinite", "extreme"],
)
def test_impossible_states_are_not_visited(q):
    """f may be anything where q never goes, and the gradient is exact without it."""

    def f(z):
        impossible = z[0, 1] if z.ndim == 2 else jnp.maximum(z[1], 1.0 - z[2])
        return jnp.where(impossible > 0.5, jnp.nan, z.reshape(-1)[0] + 2.0)

    samples = gradient_samples(jd.local_expectation(f), q, num=20)
    expected = np.broadcast_to(exact_gradient(f, q), samples.shape)
    np.testing.assert_allclose(samples, expected, atol=1e-6)


def test_aux_and_value_are_those_of_the_drawn_sample():
    estimate = jd.local_expectation(lambda z: (coupled_f(z), z), has_aux=True)
    drawn = jd.reinforce(lambda z: (coupled_f(z), z), has_aux=True)
    assert_close(jax.jit(estimate)(KEY, MIXED), jax.jit(drawn)(KEY, MIXED))


def test_half_precision_is_rounded_once():
    """Differences of f are taken, and multiplied, in float32."""
    q = jd.Bernoulli(jnp.array([0.3, -0.8, 1.0], jnp.bfloat16))
    f = lambda z: z.astype(jnp.float32) @ jnp.array([1.0, 2.0, 3.0]) + 500.0  # noqa: E731
    got = jax.jit(jax.grad(jd.local_expectation(f), 1))(KEY, q).logits
    p = jax.nn.sigmoid(q.logits.astype(jnp.float32))
    expected = (p * (1.0 - p) * jnp.array([1.0, 2.0, 3.0])).astype(jnp.bfloat16)
    assert got.dtype == jnp.bfloat16
    assert bool(jnp.all(got == expected))


def test_chunk_size_is_checked_before_any_compute():
    for transform in (jd.local_expectation, jd.measure_valued):
        match = rf"chunk_size >= 1 in jaxdiscrete\.{transform.__name__}, got 0"
        with pytest.raises(ValueError, match=match):
            transform(coupled_f, chunk_size=0)


class Sequence:
    """A sampler whose variables cannot be told apart."""

    def sample(self, key):
        return jd.Bernoulli(jnp.zeros(2)).sample(key)

    def log_prob(self, z):
        return jnp.zeros(())


def test_what_it_takes_is_named():
    with pytest.raises(TypeError, match=r"finitely many classes in .* got Sequence"):
        jd.local_expectation(jnp.sum)(KEY, Sequence())
    with pytest.raises(
        TypeError, match=r"binary variables in .* got OneHotCategorical, which has 3"
    ):
        jd.measure_valued(coupled_f)(KEY, MIXED)
