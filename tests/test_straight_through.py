"""Exact cases, limits and variances of the straight-through estimators."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import (
    K_SIGMA,
    assert_close,
    assert_unbiased,
    exact_gradient,
    gradient_samples,
)

import jaxdiscrete as jd

KEY = jax.random.key(0)
Q = jd.OneHotCategorical(jnp.array([[0.3, -0.8, 0.5], [0.0, 1.0, -jnp.inf]]))
B = jd.Bernoulli(jnp.array([0.3, -0.8]))
EXTREME = jd.Bernoulli(jnp.array([jnp.inf, -jnp.inf, 0.4]))


def slopes(z):
    """A derivative that differs between states, and is no difference of values."""
    weights = jnp.arange(1.0, z.size + 1).reshape(z.shape)
    return jnp.sum(jnp.sin(weights * z)) * (1.0 + jnp.sum(z**3))


def test_linear_objectives_are_exact_through_the_mean():
    f = lambda z: jnp.dot(z, jnp.array([3.0, -2.0]))  # noqa: E731
    exact = exact_gradient(f, B)
    for estimate in (jd.mean_field(f), jd.straight_through(f)):
        assert_close(jax.grad(estimate, 1)(KEY, B).logits, exact)


def test_straight_through_values_are_hard_and_slopes_soft():
    f = lambda z: jnp.sum(z**3)  # noqa: E731
    z = B.sample(KEY)
    value, gradient = jax.value_and_grad(jd.straight_through(f), 1)(KEY, B)
    assert value == f(z)
    p = B.mean()
    assert_close(gradient.logits, 3 * z**2 * p * (1 - p))


def test_a_slope_scales_the_logits_of_the_derivative_alone():
    """The sample keeps its distribution; the derivative is that of sigmoid(s a)."""
    f = lambda z: jnp.sum(z * jnp.array([2.0, -3.0]))  # noqa: E731
    value, gradient = jax.value_and_grad(jd.straight_through(f, slope=3.0), 1)(KEY, B)
    assert value == f(B.sample(KEY))
    p = jax.nn.sigmoid(3.0 * B.logits)
    expected = 3.0 * jnp.array([2.0, -3.0]) * p * (1 - p)
    assert_close(gradient.logits, expected)
    weights = jnp.arange(6.0).reshape(2, 3)
    estimate = jd.straight_through(lambda z: jnp.sum(z * weights), slope=2)
    gradient = jax.grad(estimate, 1)(KEY, Q)
    soft = lambda a: jnp.sum(jax.nn.softmax(2.0 * a) * weights)  # noqa: E731
    assert_close(gradient.logits, jax.grad(soft)(Q.logits))


def quadratic(z):
    x = z.ravel()
    weights = jnp.cos(jnp.arange(float(x.size**2))).reshape(x.size, x.size)
    return 4.0 * x @ weights @ x + 6.0 * jnp.sum(x * jnp.sin(jnp.arange(1.0, 7.0)))


@pytest.mark.parametrize(
    ("transform", "q"),
    [
        (jd.half_estimator, jd.Bernoulli(jnp.linspace(-1.0, 1.5, 6))),
        (jd.reinmax, jd.Bernoulli(jnp.linspace(-1.0, 1.5, 6))),
        (jd.reinmax, Q),
    ],
)
def test_second_order_estimators_are_exact_for_quadratics(transform, q):
    samples = gradient_samples(transform(quadratic), q, num=400_000)
    assert_unbiased(samples, exact_gradient(quadratic, q))


def test_half_estimator_halves_the_slope_and_divides_by_the_probability():
    z = EXTREME.sample(KEY)
    value, gradient = jax.value_and_grad(jd.half_estimator(slopes), 1)(KEY, EXTREME)
    p = EXTREME.mean()
    expected = 0.5 * jax.grad(slopes)(z) * jnp.where(z > 0.5, 1.0 - p, p)
    assert value == slopes(z)
    assert_close(gradient.logits, expected)


def test_reinmax_is_the_half_estimator_for_binary_variables():
    keys = jax.random.split(KEY, 100)
    for q in (B, EXTREME):
        half, full = (
            jax.jit(jax.vmap(jax.grad(t(slopes), 1), (0, None)))(keys, q)
            for t in (jd.half_estimator, jd.reinmax)
        )
        assert_close(half, full)


def covariance(p):
    return jnp.diag(p) - jnp.outer(p, p)


@pytest.mark.parametrize("temperature", [1.0, 1.4, jnp.array([0.6, 1.4])])
def test_reinmax_is_its_matrix(temperature):
    z = Q.sample(KEY)
    estimate = jd.reinmax(slopes, temperature=temperature)
    value, gradient = jax.value_and_grad(estimate, 1)(KEY, Q)
    t = jnp.broadcast_to(jnp.asarray(temperature), (2,))[:, None]
    first = jax.nn.softmax(Q.logits)
    second = 0.5 * (jax.nn.softmax(Q.logits / t) + z)
    matrices = 2.0 * jax.vmap(covariance)(second) - 0.5 * jax.vmap(covariance)(first)
    expected = jnp.einsum("nij,nj->ni", matrices, jax.grad(slopes)(z))
    assert value == slopes(z)
    assert_close(gradient.logits, expected)


@pytest.mark.parametrize("q", [Q, B])
def test_decoupled_at_forward_temperature_one_is_straight_through_gumbel_softmax(q):
    decoupled = jd.decoupled_straight_through(
        slopes, forward_temperature=1.0, backward_temperature=0.7
    )
    coupled = jd.straight_through_gumbel_softmax(slopes, temperature=0.7)
    both = [jax.value_and_grad(e, 1)(KEY, q) for e in (decoupled, coupled)]
    assert_close(*both)


@pytest.mark.parametrize("q", [Q, B])
@pytest.mark.parametrize("forward", [0.6, jnp.array([3.0, 0.6])])
def test_decoupled_samples_at_one_temperature_and_differentiates_at_another(q, forward):
    def f(z):
        return slopes(z), z

    estimate = jd.decoupled_straight_through(
        f, forward_temperature=forward, backward_temperature=0.7, has_aux=True
    )
    keys = jax.random.split(KEY, 200_000)
    both = jax.value_and_grad(estimate, 1, has_aux=True)
    (_, z), gradient = jax.jit(jax.vmap(both, (0, None)))(keys, q)
    t = jnp.reshape(forward, (-1, 1)) if jnp.ndim(forward) and q is Q else forward
    cooled = type(q)(q.logits / t)
    assert_unbiased(z.reshape(len(keys), -1), cooled.mean().ravel())
    zeta = jax.vmap(q.relaxed_sample)(keys[:100])

    def soft(logits, zeta, slope):
        moved = jnp.where(jnp.isinf(logits), 0.0, logits - q.logits)
        return jnp.sum(q.relax(zeta + moved, 0.7) * slope)

    slope = jax.vmap(jax.grad(slopes))(z[:100])
    expected = jax.vmap(jax.grad(soft), (None, 0, 0))(q.logits, zeta, slope)
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
        expected = covariance(p) @ jax.grad(slopes)(hard) / 0.8
        rows = np.asarray(gradient.logits)[drawn == index]
        assert_close(rows, np.broadcast_to(expected, rows.shape))


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


def simplex_quadratic(z):
    """The quadratic programme on the simplex of the Gumbel-Rao paper."""
    index = jnp.arange(3.0)
    weights = jnp.exp(-2.0 * jnp.abs(index[:, None] - index[None, :]))
    return (z - 1 / 3) @ weights @ (z - 1 / 3)


CORNERS = jnp.log(
    jnp.array(
        [[1 / 3, 1 / 3, 1 / 3], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9]]
    )
)


def batches_of(estimate, seed, num=60_000, num_batches=30):
    """Mean and variance, summed over coordinates, in batches, at each of CORNERS."""
    keys = jax.random.split(jax.random.key(seed), num)
    gradient = jax.vmap(jax.vmap(jax.grad(estimate, 1), (0, None)), (None, 0))
    samples = jax.jit(gradient)(keys, jd.OneHotCategorical(CORNERS)).logits
    samples = np.asarray(samples, np.float64).reshape(len(CORNERS), num_batches, -1, 3)
    return samples.mean(axis=2), samples.var(axis=2, ddof=1).sum(axis=-1)


def of_batches(rows):
    """The mean over batches, and its standard error."""
    return rows.mean(axis=1), rows.std(axis=1, ddof=1) / np.sqrt(rows.shape[1])


@pytest.fixture(scope="module")
def rao_batches():
    def of(num_samples, seed):
        estimate = jd.gumbel_rao(
            simplex_quadratic, temperature=0.5, num_samples=num_samples
        )
        return batches_of(estimate, seed)

    coupled = jd.straight_through_gumbel_softmax(simplex_quadratic, temperature=0.5)
    return {0: batches_of(coupled, 0)} | {k: of(k, k) for k in (1, 2, 8)}


@pytest.mark.parametrize("num_samples", [1, 8])
def test_gumbel_rao_has_the_mean_of_straight_through_gumbel_softmax(
    rao_batches, num_samples
):
    expected, se_expected = of_batches(rao_batches[0][0])
    found, se_found = of_batches(rao_batches[num_samples][0])
    se = np.hypot(se_expected, se_found)
    assert np.all(K_SIGMA * se < 0.15 * np.abs(expected).max()), "underpowered"
    assert np.all(np.abs(found - expected) < K_SIGMA * se)


def test_variance_of_gumbel_rao_falls_with_the_noise_given_the_sample(rao_batches):
    """var(K) = a / K + b, with var(1) that of straight-through Gumbel-Softmax."""
    v = {k: of_batches(rows) for k, (_, rows) in rao_batches.items()}
    difference = v[1][0] - v[0][0]
    assert np.all(np.abs(difference) < K_SIGMA * np.hypot(v[1][1], v[0][1]))
    predicted = v[1][0] + (v[2][0] - v[1][0]) * (1 - 1 / 8) / (1 - 1 / 2)
    se = np.sqrt((0.75 * v[1][1]) ** 2 + (1.75 * v[2][1]) ** 2 + v[8][1] ** 2)
    assert np.all(np.abs(v[8][0] - predicted) < K_SIGMA * se)
    # The law with a alone, or b alone, would show.
    assert np.all(v[8][0] - v[1][0] / 8 > 3 * se)
    assert np.all(v[1][0] - v[8][0] > 3 * se)


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


def test_gumbel_rao_needs_a_relaxed_sample():
    match = r"num_samples >= 1 in jaxdiscrete\.gumbel_rao, got 0\. One relaxed sample"
    with pytest.raises(ValueError, match=match):
        jd.gumbel_rao(jnp.sum, temperature=1.0, num_samples=0)
    with pytest.raises(TypeError, match=r"num_samples of .*gumbel_rao to be a Py"):
        jd.gumbel_rao(jnp.sum, temperature=1.0, num_samples=2.0)


@pytest.mark.parametrize(
    "transform",
    [jd.reinmax, lambda f: jd.gapped_straight_through(f, temperature=1.0)],
)
def test_formulas_for_two_kinds_refuse_a_third(transform):
    @jax.tree_util.register_dataclass
    @dataclasses.dataclass(frozen=True)
    class Other:
        bits: jd.Bernoulli

        def __getattr__(self, name):
            return getattr(self.bits, name)

    match = (
        r"Expected jaxdiscrete\.Bernoulli or jaxdiscrete\.OneHotCategorical distr.*"
        r"estimator for binary and categorical variables, got Other\..*reinforce_loo"
    )
    with pytest.raises(TypeError, match=match):
        transform(jnp.sum)(KEY, Other(B))
