"""Coupled samples: joint laws, what they reduce to, and where variance is less."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from checks import (
    K_SIGMA,
    assert_close,
    assert_unbiased,
    exact_gradient,
    flat_rows,
    gradient_samples,
)

import jaxdiscrete as jd
from jaxdiscrete.coupled.antithetic import disarm_gradient
from jaxdiscrete.coupled.carms import pair_weights
from jaxdiscrete.coupled.stick_breaking import stick_logits

KEY = jax.random.key(0)
COPULAS = [jd.dirichlet_copula, jd.gaussian_copula]
both_copulas = pytest.mark.parametrize("copula", COPULAS)
BITS = jd.Bernoulli(jnp.array([0.3, -0.8, 2.0]))
CLASSES = jd.OneHotCategorical(
    jnp.array([[0.7, -0.5, 0.1, -jnp.inf], [0.0, 0.6, -0.5, 0.4]])
)


def of_bits(z):
    return jnp.dot(z, jnp.array([3.0, -3.0, 4.0])) + 1.5 * z[0] * z[1] - z[1] * z[2]


def of_classes(z):
    weights = jnp.array([[0.0, 4.0, 4.0, 4.0], [1.0, -4.0, 0.0, -4.0]])
    return jnp.sum(weights * z) + 1.5 * z[0, 1] * z[1, 2]


def total_variance(samples):
    """The trace of the covariance, and its standard error."""
    squares = np.square(samples - samples.mean(axis=0)).sum(axis=1)
    return squares.mean(), squares.std() / np.sqrt(len(squares))


def assert_less_variance(one, other):
    """Total variances differ in this direction by K_SIGMA standard errors."""
    (smaller, se), (larger, other_se) = total_variance(one), total_variance(other)
    assert smaller + K_SIGMA * np.hypot(se, other_se) < larger


@both_copulas
@pytest.mark.parametrize("num_samples", [2, 3, 6])
def test_marginals_and_correlations_of_a_copula(copula, num_samples):
    """Of two samples, whichever; every probability has a copula of its own."""
    num = 200_000
    q = jnp.array([0.0, 0.02, 0.2, 0.35, 0.5])
    is_rare, rho = jax.jit(lambda k: copula(k, num_samples, jnp.tile(q, (num, 1))))(KEY)
    is_rare, rho, q = np.asarray(is_rare), np.asarray(rho[0]), np.asarray(q)
    joint = rho * q * (1.0 - q) + q**2
    assert np.all(rho[1:] < -0.003)
    assert rho[0] == 0
    frequency = is_rare.mean(axis=1)
    assert np.all(np.abs(frequency - q) <= K_SIGMA * np.sqrt(q * (1.0 - q) / num))
    for i, j in ((0, 1), (1, num_samples - 1)):
        if i == j:
            continue
        together = (is_rare[i] & is_rare[j]).mean(axis=0)
        se = np.sqrt(np.maximum(joint, 0.0) / num)
        assert np.all(np.abs(together - joint) <= K_SIGMA * se + 1e-7)
    across = (is_rare[0, :, 2] & is_rare[1, :, 3]).mean()
    assert abs(across - q[2] * q[3]) < K_SIGMA * np.sqrt(q[2] * q[3] / num)


@both_copulas
def test_two_samples_of_a_copula_are_an_antithetic_pair(copula):
    q = jnp.linspace(0.0, 0.5, 1000)
    is_rare, rho = jax.jit(copula, static_argnums=1)(KEY, 2, q)
    assert not bool(jnp.any(is_rare[0] & is_rare[1]))
    np.testing.assert_allclose(rho, -q / (1.0 - q), rtol=1e-6)


@pytest.mark.parametrize("num_samples", [3, 4, 50])
def test_correlation_of_the_gaussian_copula_is_that_of_scipy(num_samples):
    q = np.array([1e-5, 0.01, 0.2, 0.499, 0.5])
    r = -1.0 / (num_samples - 1)
    normal = scipy.stats.norm
    expected = []
    for h in normal.ppf(q):
        joint, _ = scipy.integrate.quad(
            lambda x, h=h: normal.pdf(x) * normal.cdf((h - r * x) / np.sqrt(1 - r * r)),
            -np.inf,
            h,
            epsabs=1e-14,
        )
        expected.append(joint)
    copula = jax.jit(jd.gaussian_copula, static_argnums=1)
    _, rho = copula(KEY, num_samples, jnp.asarray(q, jnp.float32))
    rho = np.asarray(rho, np.float64)
    np.testing.assert_allclose(rho, (expected - q**2) / (q - q**2), rtol=3e-5)


@pytest.mark.parametrize("num_samples", [2, 3, 5, 400])
def test_correlation_of_the_dirichlet_copula_is_its_closed_form(num_samples):
    q = np.array([1e-30, 1e-5, 0.2, 0.4, 0.5])
    root = q ** (1.0 / (num_samples - 1))
    joint = np.maximum(0.0, 2.0 * root - 1.0) ** (num_samples - 1)
    copula = jax.jit(jd.dirichlet_copula, static_argnums=1)
    _, rho = copula(KEY, num_samples, jnp.asarray(q, jnp.float32))
    rho = np.asarray(rho, np.float64)
    np.testing.assert_allclose(rho, (joint - q**2) / (q - q**2), rtol=1e-5, atol=2e-7)


def test_events_of_many_samples_keep_their_probability_in_the_tail():
    """With many samples a small u is a large share, far out in the tail of noise."""
    num, num_samples, q = 100_000, 50, 1e-4
    is_rare, _ = jax.jit(jd.dirichlet_copula, static_argnums=1)(
        KEY, num_samples, jnp.full(num, q)
    )
    expected = q * num * num_samples
    assert abs(int(is_rare.sum()) - expected) < K_SIGMA * np.sqrt(expected)


@both_copulas
@pytest.mark.parametrize("name", ["arms", "carms"])
def test_any_number_of_samples_is_unbiased(name, copula):
    transform = getattr(jd, name)
    f, q = (of_bits, BITS) if name == "arms" else (of_classes, CLASSES)

    def both(key):
        return [
            jax.grad(transform(f, num_samples=n, copula=copula), 1)(key, q)
            for n in (2, 3, 5)
        ]

    keys = jax.random.split(KEY, 130_000)
    for gradients in jax.jit(jax.vmap(both))(keys):
        assert_unbiased(flat_rows(gradients), exact_gradient(f, q))


@pytest.mark.parametrize("transform", [jd.arsm, jd.disarm_stick_breaking])
def test_four_classes_are_unbiased(transform):
    samples = gradient_samples(transform(of_classes), CLASSES, num=150_000)
    assert_unbiased(samples, exact_gradient(of_classes, CLASSES))


def test_two_samples_of_arms_are_disarm():
    estimate = jd.arms(lambda z: (of_bits(z), z), num_samples=2, has_aux=True)
    gradient = jax.jit(jax.vmap(jax.grad(estimate, 1, has_aux=True), (0, None)))
    ours, z = gradient(jax.random.split(KEY, 20), BITS)
    theirs = jax.vmap(
        lambda pair: disarm_gradient(BITS, pair, jax.vmap(of_bits)(pair))[0]
    )(z)
    assert bool(jnp.any(ours.logits != 0))
    assert_close(ours.logits, theirs)


def test_independent_samples_make_arms_leave_one_out():
    def independent(key, num_samples, rare_probability):
        shape = (num_samples, *rare_probability.shape)
        u = jax.random.uniform(key, shape)
        return u < rare_probability[None], jnp.zeros_like(rare_probability)

    estimate = jd.arms(
        lambda z: (of_bits(z), z), num_samples=4, copula=independent, has_aux=True
    )
    gradient, z = jax.jit(jax.grad(estimate, 1, has_aux=True))(KEY, BITS)
    values = jax.vmap(of_bits)(z)
    scores = z - BITS.mean()[None]
    expected = ((values - values.mean())[:, None] * scores).sum(axis=0) / 3
    assert bool(jnp.any(expected != 0))
    assert_close(gradient.logits, expected)


def test_infinite_logits_have_no_gradient():
    q = jd.Bernoulli(jnp.array([jnp.inf, -jnp.inf, 0.0]))
    for copula in COPULAS:
        estimate = jd.arms(lambda z: 1e6 + of_bits(z), num_samples=3, copula=copula)
        gradient = jax.jit(jax.grad(estimate, 1))(KEY, q).logits
        assert np.all(np.asarray(gradient[:2]) == 0)


def joint_of_sticks(p, rho):
    """The joint probability of two classes, by enumeration of the bits of two samples.

    Args:
      p: ``[K - 1]``, probabilities of the sticks.
      rho: ``[K - 1]``, correlations of their bits.

    Returns:
      ``[K, K]``.
    """
    together = np.maximum(rho * p * (1.0 - p) + p**2, 0.0)
    table = np.zeros((len(p) + 1,) * 2)
    for bits in itertools.product(range(4), repeat=len(p)):
        one, other = np.array(bits) // 2, np.array(bits) % 2
        cells = np.stack(
            [1.0 - 2.0 * p + together, p - together, p - together, together]
        )
        weight = np.prod(cells[np.array(bits), np.arange(len(p))])
        a, b = (int(np.argmax(np.append(x, 1))) for x in (one, other))
        table[a, b] += weight
    return table


@both_copulas
@pytest.mark.parametrize("num_samples", [2, 3, 5])
def test_weights_of_carms_are_ratios_of_joint_probabilities(copula, num_samples):
    log_p = jnp.log(jnp.array([0.04, 0.16, 0.35, 0.45]))
    p = jax.nn.sigmoid(stick_logits(log_p, jnp.arange(4)))
    _, rho = jax.jit(copula, static_argnums=1)(KEY, num_samples, p)
    ours = jax.jit(pair_weights)(p, rho, jnp.arange(4))
    joint = joint_of_sticks(np.asarray(p, np.float64), np.asarray(rho, np.float64))
    q = np.exp(np.asarray(log_p, np.float64))
    np.testing.assert_allclose(joint.sum(axis=0), q, rtol=1e-6)
    np.fill_diagonal(joint, np.inf)
    expected = np.outer(q, q) / joint
    np.testing.assert_allclose(ours, expected, rtol=2e-6)


def test_pairs_of_carms_have_their_joint_probabilities():
    logits = jnp.array([0.7, -0.5, 0.1, -jnp.inf])
    q = jd.OneHotCategorical(logits)
    estimate = jd.carms(lambda z: (z[0], z), num_samples=3, has_aux=True)
    num = 100_000
    _, z = jax.jit(jax.vmap(estimate, (0, None)))(jax.random.split(KEY, num), q)
    index = np.asarray(jnp.argmax(z, axis=-1))
    order = np.asarray(jnp.argsort(q.location()))
    p = jax.nn.sigmoid(stick_logits(logits, order))
    _, rho = jd.dirichlet_copula(KEY, 3, jnp.minimum(p, 0.5))
    joint = joint_of_sticks(np.asarray(p, np.float64), np.asarray(rho, np.float64))
    expected = np.zeros((4, 4))
    expected[np.ix_(order, order)] = joint
    for i, j in ((0, 1), (2, 0)):
        counts = np.zeros((4, 4))
        np.add.at(counts, (index[:, i], index[:, j]), 1.0 / num)
        assert np.all(np.abs(counts - expected) <= K_SIGMA * np.sqrt(expected / num))


def test_two_classes_of_stick_breaking_are_disarm():
    logits = jnp.array([[0.3, -0.2], [0.0, 1.0], [2.0, 0.5]])
    q = jd.OneHotCategorical(logits)
    bits = jd.Bernoulli(logits[:, 0] - logits[:, 1])
    f = lambda z: of_bits(z[:, 0])  # noqa: E731
    estimate = jd.disarm_stick_breaking(lambda z: (f(z), z), has_aux=True)
    gradient = jax.jit(jax.vmap(jax.grad(estimate, 1, has_aux=True), (0, None)))
    ours, z = gradient(jax.random.split(KEY, 20), q)
    theirs = jax.vmap(
        lambda pair: disarm_gradient(bits, pair[..., 0], jax.vmap(f)(pair))[0]
    )(z)
    assert bool(jnp.any(theirs != 0))
    assert_close(ours.logits, jnp.stack([theirs, -theirs], axis=-1))


def test_two_classes_of_arsm_are_arm():
    logits = jnp.array([[0.3, -0.2], [0.0, 1.0], [2.0, 0.5]])
    q = jd.OneHotCategorical(logits)
    f = lambda z: of_bits(z[:, 0])  # noqa: E731
    estimate = jd.arsm(lambda z: (f(z), z), has_aux=True)
    keys = jax.random.split(KEY, 20)
    estimate = jax.vmap(jax.grad(estimate, 1, has_aux=True), (0, None))
    gradient, z = jax.jit(estimate)(keys, q)
    noise = jax.vmap(lambda k: jd.sample_exponential(k, (3, 2)))(keys)
    u = noise[..., 1] / noise.sum(axis=-1)
    p = jax.nn.sigmoid(logits[:, 0] - logits[:, 1])[None]
    assert bool(jnp.all((z[:, 0, :, 0] > 0) == (u > 1.0 - p)))
    assert bool(jnp.all((z[:, 1, :, 0] > 0) == (u < p)))
    values = jax.vmap(jax.vmap(f))(z)
    expected = (values[:, :1] - values[:, 1:]) * (u - 0.5)
    assert bool(jnp.any(expected != 0))
    assert_close(gradient.logits, jnp.stack([expected, -expected], axis=-1))


@pytest.mark.parametrize(("num_classes", "calls"), [(1, 1), (2, 2), (4, 7), (6, 16)])
def test_arsm_calls_f_once_for_every_different_swap(num_classes, calls):
    q = jd.OneHotCategorical(jnp.zeros((2, num_classes)))
    estimate = jd.arsm(lambda z: (jnp.sum(z), z), has_aux=True)
    _, z = estimate(KEY, q)
    assert z.shape == (calls, 2, num_classes)


@pytest.mark.parametrize(
    "transform",
    [lambda f: jd.carms(f, num_samples=3), jd.disarm_stick_breaking, jd.arsm],
)
def test_a_variable_of_one_class_is_constant(transform):
    q = jd.OneHotCategorical(jnp.array([[2.0], [-1.0]]))
    value, gradient = jax.jit(jax.value_and_grad(transform(jnp.sum), 1))(KEY, q)
    assert value == 2.0
    assert np.all(np.asarray(gradient.logits) == 0)


def test_masked_classes_cost_stick_breaking_nothing():
    """Wherever the masks stand, and whatever is left after them."""
    logits = np.array([0.3, -0.5, 1.0])
    masked = np.full((3, 5), -np.inf)
    masked[0, :3], masked[1, 2:], masked[2, 1] = logits, logits, 0.0
    q = jd.OneHotCategorical(jnp.asarray(masked, jnp.float32))
    f = lambda z: jnp.sum(z * jnp.arange(15.0).reshape(3, 5) ** 2)  # noqa: E731
    for estimate in (
        jd.disarm_stick_breaking(f, num_samples=2),
        jd.carms(f, num_samples=3),
        jd.arsm(f),
    ):
        samples = gradient_samples(estimate, q, num=1000).reshape(-1, 3, 5)
        assert np.all(np.isfinite(samples))
        assert np.all(samples[:, np.isneginf(masked)] == 0)
        assert np.all(samples.std(axis=0)[np.isin(masked, logits)] > 0)


@pytest.mark.parametrize("transform", [jd.disarm, jd.disarm_stick_breaking])
def test_chunks_of_pairs_give_the_same_gradient(transform):
    f, q = (of_bits, BITS) if transform is jd.disarm else (of_classes, CLASSES)

    def gradient(chunk_size):
        estimate = transform(f, num_samples=8, chunk_size=chunk_size)
        return jax.jit(jax.grad(estimate, 1))(KEY, q)

    whole = gradient(None)
    assert_close(gradient(3), whole)


PROBLEMS = {
    "linear": lambda z: jnp.dot(z, jnp.array([3.0, -3.0, 4.0])),
    "quadratic": of_bits,
    "far from linear": lambda z: jnp.sin(5.0 * jnp.sum(z)) + jnp.prod(z),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_disarm_is_arm_with_its_noise_integrated_out(name):
    """So that their difference has no correlation with it, and is all variance."""
    f = PROBLEMS[name]

    def both(key):
        arm = jax.grad(jd.arm(f), 1)(jax.random.split(key, 1)[0], BITS)
        disarm = jax.grad(jd.disarm(f), 1)(key, BITS)
        return arm, disarm

    arm, disarm = jax.jit(jax.vmap(both))(jax.random.split(KEY, 200_000))
    arm, disarm = flat_rows(arm), flat_rows(disarm)
    product = (arm - disarm) * disarm
    se = product.std(axis=0) / np.sqrt(len(product))
    assert np.all(np.abs(product.mean(axis=0)) < K_SIGMA * se)
    assert_less_variance(disarm, arm)


def compare_with_leave_one_out(transform, f, q, num_samples, **options):
    """Gradients at equal calls of f: coupled samples, and independent ones."""
    return tuple(
        gradient_samples(estimate, q, num=100_000)
        for estimate in (
            transform(f, num_samples=num_samples, **options),
            jd.reinforce_loo(f, num_samples=num_samples),
        )
    )


@pytest.mark.parametrize(
    ("copula", "num_variables", "num_samples"),
    [
        (jd.dirichlet_copula, 1, 4),
        (jd.dirichlet_copula, 3, 2),
        (jd.dirichlet_copula, 3, 4),
        (jd.gaussian_copula, 3, 4),
    ],
)
def test_arms_gains_where_f_is_linear_and_variables_are_alike(
    copula, num_variables, num_samples
):
    q = jd.Bernoulli(jnp.full(num_variables, -0.4))
    f = lambda z: jnp.dot(z, jnp.arange(2.0, 2.0 + num_variables))  # noqa: E731
    ours, theirs = compare_with_leave_one_out(jd.arms, f, q, num_samples, copula=copula)
    assert_less_variance(ours, theirs)


def test_arms_loses_for_a_rare_variable_beside_a_weighty_even_one():
    """The noise of the even one is doubled by coupling, the rare one's weight kept."""
    q = jd.Bernoulli(jnp.array([-4.0, 0.0]))
    f = lambda z: 10.0 * z[1] + z[0]  # noqa: E731
    ours, theirs = compare_with_leave_one_out(jd.arms, f, q, 2)
    assert_less_variance(theirs[:, :1], ours[:, :1])


def test_no_pair_of_carms_weighs_more_than_one():
    """And so for two samples of one variable it is never worse, whatever f is."""
    rng = np.random.default_rng(0)
    spread = rng.choice([0.1, 1.0, 3.0], size=(2000, 1))
    logits = jnp.asarray(np.sort(spread * rng.normal(size=(2000, 6))), jnp.float32)
    order = jnp.broadcast_to(jnp.arange(6), logits.shape)
    p = jnp.minimum(jax.nn.sigmoid(stick_logits(logits, order)), 0.5)
    rank = jnp.broadcast_to(jnp.arange(6)[:, None], (6, 2000))
    for copula in COPULAS:
        _, rho = jax.jit(copula, static_argnums=1)(KEY, 2, p)
        weights = np.asarray(jax.jit(pair_weights)(p, rho, rank))
        assert weights.max() < 1.0 + 1e-6
        assert weights.max(axis=(0, 1)).min() < 0.9


@pytest.mark.parametrize("num_samples", [2, 4])
def test_carms_gains_for_one_variable(num_samples):
    q = jd.OneHotCategorical(jnp.array([0.3, -0.4, 0.0, 1.0]))
    f = lambda z: jnp.dot(z, jnp.array([1.0, -2.0, 0.5, 3.0]))  # noqa: E731
    ours, theirs = compare_with_leave_one_out(jd.carms, f, q, num_samples)
    assert_less_variance(ours, theirs)


@pytest.mark.parametrize("num_samples", [1, 0])
@pytest.mark.parametrize("name", ["arms", "carms", "disarm", "disarm_stick_breaking"])
def test_coupled_samples_are_at_least_two(name, num_samples):
    match = rf"num_samples >= 2 in jaxdiscrete\.{name}, got {num_samples}"
    with pytest.raises(ValueError, match=match):
        getattr(jd, name)(jnp.sum, num_samples=num_samples)


@pytest.mark.parametrize("name", ["disarm", "disarm_stick_breaking"])
def test_pairs_are_even(name):
    match = rf"an even num_samples in jaxdiscrete\.{name}, got 3.*ask for 2, 4"
    with pytest.raises(ValueError, match=match):
        getattr(jd, name)(jnp.sum, num_samples=3)


@both_copulas
def test_a_copula_couples_at_least_two(copula):
    match = rf"num_samples >= 2 in jaxdiscrete\.{copula.__name__}, got 1\. One sample"
    with pytest.raises(ValueError, match=match):
        copula(KEY, 1, 0.5)


def test_arsm_needs_one_number_of_classes():
    q = {n: jd.OneHotCategorical(jnp.zeros((2, n))) for n in (3, 4)}
    match = r"one number of classes in all .*got 3 and 4\. Mask .*jaxdiscrete\.carms"
    with pytest.raises(ValueError, match=match):
        jd.arsm(lambda z: jnp.sum(z[3]))(KEY, q)
