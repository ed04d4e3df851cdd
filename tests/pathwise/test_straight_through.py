"""Exact cases, limits and variances of the straight-through estimators."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.statistics import (
    assert_unbiased,
    exact_gradient,
    map_in_chunks,
)
from tests.helpers.trees import assert_close
from tests.pathwise.problems import KEY, B, Q, covariance, slopes


def total(z):
    return jnp.sum(z)


@pytest.mark.parametrize("slope", [0.0, -2.0, float("nan")])
def test_slope_must_be_positive(slope, no_compute):
    with pytest.raises(ValueError, match=r"Expected slope > 0, got .* 1 is the deriv"):
        jd.straight_through(total, slope=slope)


def test_linear_objectives_are_exact_through_the_mean():
    f = lambda z: jnp.dot(z, jnp.array([3.0, -2.0]))  # noqa: E731
    exact = exact_gradient(f, B)
    for estimate in (jd.mean_field(f), jd.straight_through(f)):
        assert_close(jax.jit(jax.grad(estimate, 1))(KEY, B).logits, exact)


def test_straight_through_values_are_hard_and_slopes_soft():
    f = lambda z: jnp.sum(z**3)  # noqa: E731
    z = B.sample(KEY)
    value, gradient = jax.jit(jax.value_and_grad(jd.straight_through(f), 1))(KEY, B)
    assert value == f(z)
    p = B.mean()
    assert_close(gradient.logits, 3 * z**2 * p * (1 - p))


def test_a_slope_scales_the_logits_of_the_derivative_alone():
    """The sample keeps its distribution; the derivative is that of sigmoid(s a)."""
    f = lambda z: jnp.sum(z * jnp.array([2.0, -3.0]))  # noqa: E731
    value, gradient = jax.jit(jax.value_and_grad(jd.straight_through(f, slope=3.0), 1))(
        KEY, B
    )
    assert value == f(B.sample(KEY))
    p = jax.nn.sigmoid(3.0 * B.logits)
    expected = 3.0 * jnp.array([2.0, -3.0]) * p * (1 - p)
    assert_close(gradient.logits, expected)
    weights = jnp.arange(6.0).reshape(2, 3)
    estimate = jd.straight_through(lambda z: jnp.sum(z * weights), slope=2)
    gradient = jax.jit(jax.grad(estimate, 1))(KEY, Q)
    soft = lambda a: jnp.sum(jax.nn.softmax(2.0 * a) * weights)  # noqa: E731
    assert_close(gradient.logits, jax.jit(jax.grad(soft))(Q.logits))


@pytest.mark.parametrize("q", [Q, B])
def test_decoupled_at_forward_temperature_one_is_straight_through_gumbel_softmax(q):
    decoupled = jd.decoupled_straight_through(
        slopes, forward_temperature=1.0, backward_temperature=0.7
    )
    coupled = jd.straight_through_gumbel_softmax(slopes, temperature=0.7)
    both = [jax.jit(jax.value_and_grad(e, 1))(KEY, q) for e in (decoupled, coupled)]
    assert_close(*both)


@pytest.mark.parametrize("q", [Q, B])
@pytest.mark.parametrize(
    "forward",
    [
        pytest.param(0.6, marks=pytest.mark.thorough),
        jnp.array([3.0, 0.6]),
    ],
)
def test_decoupled_samples_at_one_temperature_and_differentiates_at_another(q, forward):
    def f(z):
        return slopes(z), z

    estimate = jd.decoupled_straight_through(
        f, forward_temperature=forward, backward_temperature=0.7, has_aux=True
    )
    keys = jax.random.split(KEY, 200_000)
    both = jax.value_and_grad(estimate, 1, has_aux=True)
    (_, z), gradient = map_in_chunks(lambda key: both(key, q), keys)
    t = jnp.reshape(forward, (-1, 1)) if jnp.ndim(forward) and q is Q else forward
    cooled = type(q)(q.logits / t)
    assert_unbiased(z.reshape(len(keys), -1), cooled.mean().ravel())
    zeta = jax.jit(jax.vmap(q.relaxed_sample))(keys[:100])

    def soft(logits, zeta, slope):
        moved = jnp.where(jnp.isinf(logits), 0.0, logits - q.logits)
        return jnp.sum(q.relax(zeta + moved, 0.7) * slope)

    slope = jax.jit(jax.vmap(jax.grad(slopes)))(z[:100])
    expected = jax.jit(jax.vmap(jax.grad(soft), (None, 0, 0)))(q.logits, zeta, slope)
    assert_close(gradient.logits[:100], expected, rtol=1e-4, atol=1e-5)


def test_gapped_puts_the_drawn_class_a_gap_above_the_others():
    logits = jnp.array([2.0, 1.6, 0.2, -3.0, -jnp.inf])
    shifted = {
        0: [2.0, 1.3, 0.2, -3.0, -jnp.inf],
        1: [1.3, 2.0, 0.2, -3.0, -jnp.inf],
        3: [1.3, 1.3, 0.2, 2.0, -jnp.inf],
    }
    q = jd.OneHotCategorical(logits)

    def f(z):
        return slopes(z), z

    estimate = jd.gapped_straight_through(f, temperature=0.8, gap=0.7, has_aux=True)
    keys = jax.random.split(KEY, 2000)
    both = jax.vmap(jax.value_and_grad(estimate, 1, has_aux=True), (0, None))
    (_, z), gradient = jax.jit(both)(keys, q)
    drawn = np.asarray(jnp.argmax(z, axis=-1))
    assert set(drawn) == {0, 1, 2, 3}
    for index, row in shifted.items():
        p = jax.nn.softmax(jnp.array(row) / 0.8)
        hard = jax.nn.one_hot(index, 5)
        expected = covariance(p) @ jax.jit(jax.grad(slopes))(hard) / 0.8
        rows = np.asarray(gradient.logits)[drawn == index]
        assert_close(rows, np.broadcast_to(expected, rows.shape))


@pytest.mark.thorough
def test_gapped_treats_a_bit_as_two_classes():
    """The softmax over logits (0, a) is the sigmoid of a."""
    gap, t = 1.0, 0.6
    keys = jax.random.split(KEY, 200)

    def gradients(q, read):
        """With respect to the last logit, for many keys, and the bits drawn."""
        f = lambda z: (jnp.exp(read(z)), read(z))  # noqa: E731
        estimate = jd.gapped_straight_through(f, temperature=t, gap=gap, has_aux=True)
        both = jax.vmap(jax.grad(estimate, 1, has_aux=True), (0, None))
        gradient, bits = both(keys, q)
        return gradient.logits.reshape(len(keys), -1)[:, -1], bits

    @jax.jit
    def of_two_and_of_one(a):
        two = jd.OneHotCategorical(jnp.stack([jnp.zeros(()), a]))
        return gradients(two, lambda z: z[1]), gradients(jd.Bernoulli(a), lambda z: z)

    for a in (-2.0, -0.3, 0.0, 0.3, 2.0):
        for gradient, bits in of_two_and_of_one(jnp.array(a)):
            for bit, shifted in ((1.0, max(a, gap)), (0.0, min(a, -gap))):
                s = jax.nn.sigmoid(shifted / t)
                rows = gradient[bits == bit]
                expected = jnp.full(rows.shape, np.exp(bit) * s * (1.0 - s) / t)
                assert len(rows)
                assert_close(rows, expected)


def test_a_temperature_names_its_direction():
    q = jd.Bernoulli(jnp.zeros(2))
    for name in ("forward_temperature", "backward_temperature"):
        given = {"forward_temperature": 1.0, "backward_temperature": 1.0}
        given[name] = jnp.ones(3)
        match = rf"Expected {name} to be one number or an array of .*got shape \(3,\)"
        with pytest.raises(ValueError, match=match):
            jd.decoupled_straight_through(jnp.sum, **given)(KEY, q)
        with pytest.raises(ValueError, match=f"Expected {name} > 0, got -1.0. Param"):
            jd.decoupled_straight_through(jnp.sum, **(given | {name: -1.0}))


@pytest.mark.parametrize("gap", [0.0, -1.0, float("nan")])
def test_a_gap_is_positive(gap):
    with pytest.raises(ValueError, match=r"Expected gap > 0, got .*1 is a good first"):
        jd.gapped_straight_through(jnp.sum, temperature=1.0, gap=gap)
