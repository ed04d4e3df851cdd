"""The properties that every estimator keeps."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import (
    BareSampler,
    all_finite,
    assert_close,
    assert_unbiased,
    exact_gradient,
    gradient_samples,
)
from estimators import (
    ALL,
    BARE,
    KINDS,
    MAIN,
    UNBIASED,
    initial_cv,
    once_a_mechanism,
)

import jaxdiscrete as jd

KEY = jax.random.key(7)


def three_f(z, t=1.0):
    z = z.astype(jnp.float32)
    linear = jnp.dot(z, jnp.array([3.0, -3.0, 4.0]))
    return t * (linear + 1.5 * z[0] * z[1] - z[1] * z[2] ** 3 - 2.5)


def mixed_f(z, t=1.0):
    a, (b,) = z["a"][0], z["b"]
    weights = jnp.array([[-4.0, 4.0, 3.0], [-3.0, 3.0, 0.0]])
    return t * (4.0 * a + jnp.sum(weights * b) + a * b[0, 1] - b[1, 0] ** 2 - 2.5)


def problem(name, which):
    """An objective and distributions of the kind that the estimator takes."""
    kind = KINDS[ALL[name].kind]
    return {"three": (three_f, kind.three), "mixed": (mixed_f, kind.mixed)}[which]


def three(name):
    return KINDS[ALL[name].kind].three


def mixed(name):
    return KINDS[ALL[name].kind].mixed


def distribution(name, logits):
    return KINDS[ALL[name].kind].of(logits)


everything = pytest.mark.parametrize("name", MAIN)
mechanism = pytest.mark.parametrize("name", once_a_mechanism(MAIN))
first_order = pytest.mark.parametrize(
    "name",
    once_a_mechanism(n for n in MAIN if n in UNBIASED and not ALL[n].higher_order),
)


def build(name, f, cv=None, has_aux=False):
    return ALL[name].make(f, initial_cv() if cv is None else cv, has_aux)


@pytest.mark.parametrize("name", UNBIASED)
def test_gradient_is_unbiased(name):
    assert_gradient_is_unbiased(name, "mixed")


@pytest.mark.parametrize("name", once_a_mechanism(UNBIASED))
def test_gradient_is_unbiased_for_one_distribution(name):
    assert_gradient_is_unbiased(name, "three")


def assert_gradient_is_unbiased(name, which):
    f, q = problem(name, which)
    samples = gradient_samples(build(name, f), q, num=400_000)
    assert_unbiased(samples, exact_gradient(f, q, oracle=ALL[name].oracle))


@pytest.mark.parametrize("name", [n for n in ALL if n not in UNBIASED])
def test_what_is_not_unbiased_is_labelled_biased(name):
    doc = inspect.getdoc(getattr(jd, name))
    assert doc.startswith("Biased:")
    q = three(name)
    samples = gradient_samples(build(name, three_f), q)
    expected = exact_gradient(three_f, q, oracle=ALL[name].oracle)
    se = samples.std(axis=0) / np.sqrt(len(samples))
    assert np.any(np.abs(samples.mean(axis=0) - expected) > 6 * se + 1e-3)


@pytest.mark.parametrize("name", BARE)
def test_bare_sampler_is_enough(name):
    def f(z):
        return jnp.dot(z, jnp.array([3.0, -2.0])) + z[0] * z[1]

    def loss(logits, key):
        return build(name, f)(key, BareSampler(logits))

    logits = jnp.array([0.2, -0.4])
    keys = jax.random.split(KEY, 200_000)
    samples = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(logits, keys)
    expected = exact_gradient(f, jd.Bernoulli(logits), oracle=ALL[name].oracle)
    assert_unbiased(samples, expected)


def central_difference(fn, x, step=1e-2):
    steps = step * jnp.eye(x.size)
    return jnp.stack([(fn(x + e) - fn(x - e)) / (2 * step) for e in steps])


@mechanism
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

    for loss in (as_argument, as_closure):
        for wrapped in (loss, jax.checkpoint(loss)):
            gradient, z = jax.jit(jax.grad(wrapped, has_aux=True))(theta)
            expected = expected_gradient(theta, z)
            tolerance = 2e-3 if entry.multi and entry.reduce is None else 1e-5
            assert_close(gradient, expected, rtol=tolerance, atol=0.1 * tolerance)


@mechanism
def test_closures_over_anything(name):
    """Integers, keys, scan inputs and vmapped values may be closed over."""
    logits = jnp.array([0.3, -0.8])

    def loss(logits, theta, number, key_inside):
        def f(z):
            noise = jax.random.normal(key_inside, ())
            return jnp.sum(z * theta) * number.astype(jnp.float32) + noise

        return build(name, f)(KEY, distribution(name, logits))

    gradient = jax.jit(jax.grad(loss, argnums=(0, 1)))
    thetas = jnp.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]])
    numbers = jnp.arange(1, 4)
    keys = jax.random.split(jax.random.key(3), 3)
    loop = [
        gradient(logits, t, n, k) for t, n, k in zip(thetas, numbers, keys, strict=True)
    ]
    loop = jax.tree.map(lambda *x: jnp.stack(x), *loop)
    mapped = jax.vmap(gradient, (None, 0, 0, 0))(logits, thetas, numbers, keys)

    def body(carry, x):
        return carry, gradient(logits, *x)

    _, scanned = jax.lax.scan(body, 0, (thetas, numbers, keys))
    assert_close(mapped, loop, rtol=1e-4, atol=1e-5)
    assert_close(scanned, loop, rtol=1e-4, atol=1e-5)


@mechanism
def test_value_is_that_of_value_and_grad_without_jit(name):
    estimate = build(name, three_f)
    value, gradient = jax.value_and_grad(estimate, argnums=1)(KEY, three(name))
    assert value == estimate(KEY, three(name))
    compiled = jax.jit(jax.value_and_grad(estimate, argnums=1))(KEY, three(name))
    assert_close(compiled, (value, gradient), rtol=1e-4, atol=1e-5)


@mechanism
def test_gradient_agrees_under_every_transformation(name):
    def loss(q, cv, t, key):
        return build(name, mixed_f, cv)(key, q, t)

    q, cv, t = mixed(name), initial_cv(), jnp.array(1.3)
    keys = jax.random.split(KEY, 3)

    def differentiate(fn):
        return jax.value_and_grad(fn, argnums=(0, 1, 2))

    plain = jax.jit(differentiate(loss))
    rows = [plain(q, cv, t, k) for k in keys]
    rows = jax.tree.map(lambda *x: jnp.stack(x), *rows)
    mapped = jax.jit(jax.vmap(differentiate(loss), (None, None, None, 0)))
    assert_close(mapped(q, cv, t, keys), rows, rtol=1e-4, atol=1e-5)

    def body(carry, key):
        return carry, differentiate(jax.checkpoint(loss))(*carry, key)

    _, scanned = jax.jit(lambda: jax.lax.scan(body, (q, cv, t), keys))()
    assert_close(scanned, rows, rtol=1e-4, atol=1e-5)


@mechanism
def test_batched_distributions_map(name):
    """vmap over a batch of q is the loop over its rows."""
    logits = jax.random.normal(jax.random.key(1), (4, 3))
    keys = jax.random.split(KEY, 4)
    gradient = jax.jit(jax.grad(build(name, three_f), argnums=1))
    mapped = jax.vmap(gradient)(keys, distribution(name, logits))
    rows = [
        gradient(k, distribution(name, x)) for k, x in zip(keys, logits, strict=True)
    ]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *rows)
    assert_close(mapped, stacked, rtol=1e-4, atol=1e-5)


@mechanism
def test_both_kinds_of_keys(name):
    estimate = build(name, three_f)
    old = jax.random.key_data(KEY)
    value = jax.jit(estimate)
    assert value(KEY, three(name)) == value(old, three(name))


@mechanism
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
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


@mechanism
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


@everything
def test_calls_of_f(name):
    count = []

    def f(z):
        jax.debug.callback(lambda _: count.append(1), z[0])
        return three_f(z)

    gradient = jax.jit(jax.grad(build(name, f), argnums=1))
    gradient(KEY, three(name))
    jax.effects_barrier()
    assert len(count) == ALL[name].calls


@mechanism
def test_a_step_traces_once(name):
    traces = []

    def f(z):
        traces.append(1)
        return three_f(z)

    step = jax.jit(jax.grad(build(name, f), argnums=1))
    step(KEY, three(name))
    first = len(traces)
    for seed in range(3):
        step(jax.random.key(seed), three(name))
    assert len(traces) == first


@pytest.mark.parametrize("name", [n for n, e in ALL.items() if not e.differentiates])
def test_derivative_of_f_is_not_used_where_it_need_not_exist(name):
    def f(z):
        return jnp.sum(jnp.sqrt(z)) + jnp.where(z[0] > 0, 1.0, 2.0)

    gradient = jax.jit(jax.grad(build(name, f), argnums=1))(KEY, three(name))
    assert all_finite(gradient)


@pytest.mark.parametrize(
    "name", once_a_mechanism(n for n, e in ALL.items() if not e.differentiates)
)
def test_black_box(name):
    def host(z):
        return np.float32(np.sum(np.asarray(z) * [3.0, -2.0, 1.0]))

    def f(z):
        shape = jax.ShapeDtypeStruct((), jnp.float32)
        return jax.pure_callback(host, shape, z, vmap_method="sequential")

    def transparent(z):
        return jnp.sum(z * jnp.array([3.0, -2.0, 1.0]))

    gradient = jax.jit(jax.grad(build(name, f), argnums=1))(KEY, three(name))
    expected = jax.jit(jax.grad(build(name, transparent), 1))(KEY, three(name))
    assert_close(gradient, expected)


@everything
def test_masked_classes_have_no_gradient_and_no_nan(name):
    def loss(q, cv, t):
        return build(name, mixed_f, cv)(KEY, q, t)

    gradients = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(
        mixed(name), initial_cv(), jnp.array(1.0)
    )
    assert all_finite(gradients)
    assert gradients[0]["b"][0].logits[1, 2] == 0


@mechanism
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


@first_order
def test_second_derivatives_are_refused(name):
    def loss(logits):
        return build(name, three_f)(KEY, distribution(name, logits))

    for wrapped in (loss, jax.jit(loss), jax.checkpoint(loss)):
        for hessian in (jax.hessian(wrapped), jax.jacrev(jax.jacrev(wrapped))):
            with pytest.raises(TypeError, match="first derivative of a jaxdiscrete"):
                jax.eval_shape(hessian, three(name).logits)


@first_order
def test_mixed_second_derivatives_are_refused(name):
    def loss(logits, theta):
        return build(name, three_f)(KEY, distribution(name, logits), theta)

    mixed_partial = jax.jacrev(jax.grad(loss, argnums=0), argnums=1)
    with pytest.raises(TypeError, match="first derivative of a jaxdiscrete"):
        jax.eval_shape(mixed_partial, three(name).logits, jnp.array(1.0))


@mechanism
def test_hessian_in_the_arguments_of_f_alone_is_exact(name):
    def f(z, theta):
        return theta**3 * (1.0 + jnp.sum(z))

    estimate, entry = build(name, f), ALL[name]
    theta = jnp.array(2.0)
    q = three(name)
    expected = 6.0 * jax.jit(estimate)(KEY, q, theta) / theta**2
    if entry.reduce not in (jnp.mean, None):
        # Not linear in f.
        with_z = build(name, lambda z, theta: (f(z, theta), z), has_aux=True)
        _, z = jax.jit(with_z)(KEY, q, theta)
        expected = jax.hessian(lambda t: entry.reduce(jax.vmap(f, (0, None))(z, t)))(
            theta
        )
    for second in (jax.hessian(estimate, 2), jax.jacrev(jax.jacrev(estimate, 2), 2)):
        assert_close(jax.jit(second)(KEY, q, theta), expected, rtol=1e-4)


@first_order
def test_forward_mode_is_refused(name):
    def loss(logits):
        return build(name, three_f)(KEY, distribution(name, logits))

    with pytest.raises(TypeError, match="forward-mode"):
        jax.eval_shape(jax.jacfwd(loss), three(name).logits)


@everything
def test_value_is_f_at_the_sample(name):
    entry = ALL[name]
    estimate = build(name, lambda z: (three_f(z), z), has_aux=True)
    value, z = jax.jit(estimate)(KEY, three(name))
    if not entry.multi:
        assert_close(value, three_f(z))
    elif entry.reduce is not None:
        assert_close(value, entry.reduce(jax.vmap(three_f)(z)))
    if not entry.relaxed:
        assert np.isin(np.asarray(z), (0.0, 1.0)).all()


@mechanism
def test_value_and_grads_is_the_gradient_and_its_square(name):
    estimate = build(name, mixed_f)
    out, (value, gradient) = jax.jit(
        lambda q: (
            jd.value_and_grads(estimate)(KEY, q),
            jax.value_and_grad(estimate, argnums=1)(KEY, q),
        )
    )(mixed(name))
    assert_close((out.value, out.gradient), (value, gradient))
    squares = sum(float(jnp.sum(g**2)) for g in jax.tree.leaves(gradient))
    assert_close(out.second_moment, squares)
    assert out.aux is None


@mechanism
def test_tree_operations_on_q_keep_working(name):
    estimate, q = build(name, mixed_f), mixed(name)
    shapes = jax.eval_shape(jax.grad(estimate, argnums=1), KEY, q)
    assert jax.tree.structure(shapes) == jax.tree.structure(q)
    labels = jax.tree.map(lambda _: "model", q)
    assert set(jax.tree.leaves(labels)) == {"model"}
    axes = jax.tree.map(lambda _: 0, q)
    batch = jax.tree.map(lambda x: jnp.stack([x, x]), q)
    values = jax.jit(jax.vmap(estimate, in_axes=(None, axes)))(KEY, batch)
    assert values.shape == (2,)
