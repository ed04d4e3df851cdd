"""Second-order straight-through: exact for quadratics, and equal to its matrix."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from tests.helpers.statistics import (
    assert_unbiased,
    exact_gradient,
    gradient_samples,
)
from tests.helpers.trees import assert_close
from tests.pathwise.problems import EXTREME, KEY, B, Q, covariance, slopes


def quadratic(z):
    x = z.ravel()
    weights = jnp.cos(jnp.arange(float(x.size**2))).reshape(x.size, x.size)
    return 4.0 * x @ weights @ x + 6.0 * jnp.sum(x * jnp.sin(jnp.arange(1.0, 7.0)))


@pytest.mark.parametrize(
    ("transform", "q"),
    [
        pytest.param(
            jd.half_estimator,
            jd.Bernoulli(jnp.linspace(-1.0, 1.5, 6)),
            marks=pytest.mark.thorough,
        ),
        (jd.reinmax, jd.Bernoulli(jnp.linspace(-1.0, 1.5, 6))),
        pytest.param(jd.reinmax, Q, marks=pytest.mark.thorough),
    ],
)
def test_second_order_estimators_are_exact_for_quadratics(transform, q):
    samples = gradient_samples(transform(quadratic), q, num=400_000)
    assert_unbiased(samples, exact_gradient(quadratic, q))


def test_half_estimator_halves_the_slope_and_divides_by_the_probability():
    z = EXTREME.sample(KEY)
    estimate = jax.jit(jax.value_and_grad(jd.half_estimator(slopes), 1))
    value, gradient = estimate(KEY, EXTREME)
    p = EXTREME.mean()
    expected = 0.5 * jax.grad(slopes)(z) * jnp.where(z > 0.5, 1.0 - p, p)
    assert value == slopes(z)
    assert_close(gradient.logits, expected)


@pytest.mark.thorough
def test_reinmax_is_the_half_estimator_for_binary_variables():
    keys = jax.random.split(KEY, 100)
    for q in (B, EXTREME):
        half, full = (
            jax.jit(jax.vmap(jax.grad(t(slopes), 1), (0, None)))(keys, q)
            for t in (jd.half_estimator, jd.reinmax)
        )
        assert_close(half, full)


@pytest.mark.parametrize(
    "temperature",
    [
        pytest.param(1.0, marks=pytest.mark.thorough),
        1.4,
        pytest.param(jnp.array([0.6, 1.4]), marks=pytest.mark.thorough),
    ],
)
def test_reinmax_is_its_matrix(temperature):
    z = Q.sample(KEY)
    estimate = jd.reinmax(slopes, temperature=temperature)
    value, gradient = jax.jit(jax.value_and_grad(estimate, 1))(KEY, Q)
    t = jnp.broadcast_to(jnp.asarray(temperature), (2,))[:, None]
    first = jax.nn.softmax(Q.logits)
    second = 0.5 * (jax.nn.softmax(Q.logits / t) + z)
    matrices = 2.0 * jax.vmap(covariance)(second) - 0.5 * jax.vmap(covariance)(first)
    expected = jnp.einsum("nij,nj->ni", matrices, jax.grad(slopes)(z))
    assert value == slopes(z)
    assert_close(gradient.logits, expected)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Other:
    """Bits of another class, with log-odds of its own or without."""

    bits: jd.Bernoulli
    has_log_odds: bool = dataclasses.field(default=True, metadata={"static": True})

    def __getattr__(self, name):
        if name == "log_odds" and not self.has_log_odds:
            raise AttributeError(name)
        return getattr(self.bits, name)


@pytest.mark.parametrize("own", [True, False])
def test_two_classes_are_the_matrix_of_two_classes(own):
    """From log-odds, of the distribution's own or from its table."""
    q = Other(jd.Bernoulli(jnp.array([0.7, -1.2, -jnp.inf])), own)
    temperature = jnp.array([0.6, 1.4, 0.5])
    weights = jnp.array([2.0, -1.0, 3.0])
    estimate = jd.reinmax(lambda z: jnp.dot(z, weights), temperature=temperature)
    gradient = jax.jit(jax.grad(estimate, 1))(KEY, q).bits.logits
    z = q.sample(KEY)
    first = jax.nn.sigmoid(q.bits.logits)
    second = 0.5 * (jax.nn.sigmoid(q.bits.logits / temperature) + z)
    expected = 2.0 * second * (1.0 - second) - 0.5 * first * (1.0 - first)
    assert_close(gradient, expected * weights)


@pytest.mark.parametrize(
    "transform",
    [jd.reinmax, lambda f: jd.gapped_straight_through(f, temperature=1.0)],
)
def test_whoever_offers_classes_is_taken(transform):
    gradient = jax.jit(jax.grad(transform(jnp.sum), argnums=1))
    assert_close(gradient(KEY, Other(B)).bits, gradient(KEY, B))
