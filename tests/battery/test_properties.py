"""Numbers: what every estimator's value and gradient are."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.battery.control_variates import initial_cv
from tests.battery.estimators import (
    ALL,
    BARE,
    FIRST,
    MAIN,
    UNBIASED,
    build,
    once_per_package,
    per_mechanism,
    per_package,
)
from tests.battery.problems import (
    KINDS,
    PROBLEMS,
    distribution,
    mixed,
    mixed_f,
    problem,
    three,
    three_f,
)
from tests.helpers.parameters import daily
from tests.helpers.samplers import BareSampler
from tests.helpers.statistics import (
    assert_gradient_unbiased,
    exact_gradient,
    gradient_samples,
)
from tests.helpers.trees import all_finite, assert_close

KEY = jax.random.key(7)


#: Of every transform the entry with the most in it, and of every mechanism one. That of
#: CARMS is tested every day with a distribution of one's own.
LESS = {"reinforce", "arms_gaussian", "monte_carlo", "relax_scale", "rebar_independent"}
LESS |= {
    "arms",
    "carms",
    "control_variate",
    "disarm_stick_breaking",
    "double_cv",
    "local_disarm",
}
LESS |= {"multi_sample_nvil", "muprop_second_order", "relax_independent_scale", "rodeo"}
LESS |= {"sum_and_sample"}
LESS |= {n for n, entry in ALL.items() if entry.variant and n != "measure_valued"}


@pytest.mark.parametrize(
    "name", daily([n for n in UNBIASED if n not in LESS], UNBIASED)
)
def test_gradient_is_unbiased(name):
    assert_gradient_is_unbiased(name, "mixed")


@pytest.mark.thorough
@pytest.mark.parametrize("name", UNBIASED)
def test_gradient_is_unbiased_for_one_distribution(name):
    assert_gradient_is_unbiased(name, "three")


def assert_gradient_is_unbiased(name, which):
    f, q = problem(name, which)
    expected = exact_gradient_of_problem(ALL[name].kind, which, ALL[name].oracle)
    assert_gradient_unbiased(build(name, f), q, expected=expected)


@functools.cache
def exact_gradient_of_problem(kind, which, oracle):
    f, q = PROBLEMS[which](KINDS[kind])
    return exact_gradient(f, q, oracle=oracle)


BIASED = [n for n in ALL if n not in UNBIASED]


@pytest.mark.parametrize("name", BIASED)
def test_what_is_not_unbiased_is_labelled_biased(name):
    assert inspect.getdoc(getattr(jd, name)).startswith("Biased:")


@pytest.mark.parametrize("name", daily(["reinmax"], BIASED))
def test_what_is_labelled_biased_has_a_bias(name):
    q = three(name)
    samples = gradient_samples(build(name, three_f), q)
    expected = exact_gradient_of_problem(ALL[name].kind, "three", ALL[name].oracle)
    se = samples.std(axis=0) / np.sqrt(len(samples))
    assert np.any(np.abs(samples.mean(axis=0) - expected) > 6 * se + 1e-3)


@pytest.mark.parametrize("name", once_per_package(BARE))
def test_bare_sampler_is_enough(name):
    def f(z):
        return jnp.dot(z, jnp.array([3.0, -2.0])) + z[0] * z[1]

    def loss(key, logits):
        return build(name, f)(key, BareSampler(logits))

    logits = jnp.array([0.2, -0.4])
    expected = exact_gradient(f, jd.Bernoulli(logits), oracle=ALL[name].oracle)
    assert_gradient_unbiased(loss, logits, expected=expected)


def central_difference(fn, x, step=1e-2):
    return jax.vmap(lambda e: (fn(x + e) - fn(x - e)) / (2 * step))(
        step * jnp.eye(x.size)
    )


@pytest.mark.parametrize("name", daily([*FIRST, "rebar"], MAIN))
def test_gradient_to_arguments_and_closures_is_pathwise(name):
    """Nothing of control variate or variance reaches what f uses, or how it gets it."""
    entry = ALL[name]

    def f(z, theta):
        return jnp.sum(jnp.sin(theta * z)) * theta[0], z

    def pathwise(theta, z):
        return f(z, theta)[0]

    theta = jnp.array([0.5, -1.0, 2.0])
    q = three(name)
    estimate = build(name, f, has_aux=True)

    def as_argument(theta):
        return estimate(KEY, q, theta)

    def as_closure(theta):
        closed = build(name, lambda z: f(z, theta), has_aux=True)
        return closed(KEY, q)

    def expected_gradient(theta, z):
        if not entry.multi:
            return jax.grad(pathwise)(theta, z)
        if entry.reduce is None:
            return central_difference(lambda t: as_argument(t)[0], theta)
        return jax.grad(lambda t: entry.reduce(jax.vmap(pathwise, (None, 0))(t, z)))(
            theta
        )

    losses = [as_argument, as_closure]
    losses += [jax.checkpoint(loss) for loss in losses]

    @jax.jit
    def gradients_and_samples(theta):
        return [jax.grad(loss, has_aux=True)(theta) for loss in losses]

    rows = gradients_and_samples(theta)
    _, drawn = rows[0]
    expected = jax.jit(expected_gradient)(theta, drawn)
    tolerance = 2e-3 if entry.multi and entry.reduce is None else 1e-5
    for gradient, z in rows:
        assert_close(z, drawn)
        assert_close(gradient, expected, rtol=tolerance, atol=0.1 * tolerance)


@per_mechanism
def test_both_kinds_of_keys(name):
    estimate = build(name, three_f)
    old = jax.random.key_data(KEY)
    value = jax.jit(estimate)
    assert value(KEY, three(name)) == value(old, three(name))


@per_package
@pytest.mark.parametrize(
    "dtype", daily(["bfloat16"], ["float32", "bfloat16", "float16"])
)
def test_gradient_has_the_dtype_of_its_parameters(name, dtype):
    q = distribution(name, jnp.array([0.3, -0.8, 1.0], dtype))
    seen = []

    def f(z):
        seen.append(z.dtype)
        weights = jnp.array([1.0, 2.0, 3.0], dtype)
        return jnp.sum(z * weights) ** 2

    def loss(q, cv):
        return build(name, f, cv)(KEY, q)

    both = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    value, (to_q, to_cv) = both(q, initial_cv())
    assert value.dtype == dtype
    assert to_q.logits.dtype == dtype
    assert all(g.dtype == jnp.float32 for g in jax.tree.leaves(to_cv))
    assert set(seen) == {jnp.dtype(dtype)}
    assert all_finite((value, to_q, to_cv))


@per_package
def test_double_precision(name, x64):
    q = distribution(name, jnp.array([0.3, -0.8, 1.0], jnp.float64))

    def f(z):
        return jnp.sum(z * jnp.array([1.0, 2.0, 3.0], jnp.float64)) ** 2

    def loss(q, cv):
        return build(name, f, cv)(KEY, q)

    both = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    value, (to_q, to_cv) = both(q, initial_cv())
    assert value.dtype == jnp.float64
    assert to_q.logits.dtype == jnp.float64
    assert all_finite((to_q, to_cv))


@per_package
def test_calls_of_f_and_the_value_at_the_sample(name):
    entry, count = ALL[name], []

    def f(z):
        jax.debug.callback(lambda _: count.append(1), z[0])
        return three_f(z), z

    estimate = build(name, f, has_aux=True)
    both = jax.jit(jax.value_and_grad(estimate, argnums=1, has_aux=True))
    (value, z), _ = both(KEY, three(name))
    jax.effects_barrier()
    assert len(count) == entry.calls
    if not entry.multi:
        assert_close(value, three_f(z))
    elif entry.reduce is not None:
        assert_close(value, entry.reduce(jax.vmap(three_f)(z)))
    if not entry.relaxed:
        assert np.isin(np.asarray(z), (0.0, 1.0)).all()


@pytest.mark.parametrize(
    "name", once_per_package([n for n, e in ALL.items() if not e.differentiates])
)
def test_derivative_of_f_is_not_used_where_it_need_not_exist(name):
    def f(z):
        return jnp.sum(jnp.sqrt(z)) + jnp.where(z[0] > 0, 1.0, 2.0)

    gradient = jax.jit(jax.grad(build(name, f), argnums=1))(KEY, three(name))
    assert all_finite(gradient)


#: In the test of unbiasedness the gradient of a masked class is zero in every sample.
MASKED = [*FIRST, "rebar", "reinmax"]


@pytest.mark.parametrize("name", daily(MASKED, MAIN))
def test_masked_classes_have_no_gradient_and_no_nan(name):
    def loss(q, cv, t):
        return build(name, mixed_f, cv)(KEY, q, t)

    gradients = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(
        mixed(name), initial_cv(), jnp.array(1.0)
    )
    assert all_finite(gradients)
    assert gradients[0]["b"][0].logits[1, 2] == 0


@per_package
def test_extreme_logits_are_finite(name):
    def loss(q, cv):
        return build(name, mixed_f, cv)(KEY, q)

    def extreme(x, size):
        return jnp.where(jnp.arange(x.size).reshape(x.shape) % 2, x, size)

    gradient = jax.jit(jax.grad(loss, (0, 1)))
    for q in (
        jax.tree.map(lambda x: extreme(x, 1e4), mixed(name)),
        jax.tree.map(lambda x: extreme(x, -1e4), mixed(name)),
    ):
        assert all_finite(gradient(q, initial_cv()))


@per_mechanism
def test_value_and_moments_is_the_gradient_and_its_square(name):
    estimate = build(name, mixed_f)
    out, (value, gradient) = jax.jit(
        lambda q: (
            jd.value_and_moments(estimate)(KEY, q),
            jax.value_and_grad(estimate, argnums=1)(KEY, q),
        )
    )(mixed(name))
    assert_close((out.value, out.gradient), (value, gradient))
    squares = sum(float(jnp.sum(g**2)) for g in jax.tree.leaves(gradient))
    assert_close(out.second_moment, squares)
    assert out.aux is None
