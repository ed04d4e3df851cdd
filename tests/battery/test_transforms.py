"""JAX: every estimator under every transformation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.battery.control_variates import initial_cv
from tests.battery.estimators import (
    ALL,
    MAIN,
    build,
    first_order,
    per_mechanism,
    per_package,
)
from tests.battery.problems import distribution, mixed, mixed_f, three, three_f
from tests.helpers.parameters import daily
from tests.helpers.trees import assert_close

KEY = jax.random.key(7)


@per_mechanism
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


@pytest.mark.parametrize("name", daily(["reinforce_baseline"], MAIN))
def test_value_is_that_of_value_and_grad_without_jit(name):
    estimate = build(name, three_f)
    value, gradient = jax.value_and_grad(estimate, argnums=1)(KEY, three(name))
    assert value == estimate(KEY, three(name))
    compiled = jax.jit(jax.value_and_grad(estimate, argnums=1))(KEY, three(name))
    assert_close(compiled, (value, gradient), rtol=1e-4, atol=1e-5)


@per_package
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


@per_mechanism
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


@pytest.mark.parametrize("name", daily(["reinforce", "nvil"], MAIN))
def test_a_constant_f_in_a_batch_that_is_differentiated_as_one(name):
    """Its value is the same for all examples, and their gradients are not."""
    keys = jax.random.split(KEY, 5)

    def loss(q, cv, key):
        constant = jnp.float32(3.0)

        def f(z, *args):
            return constant + 0.0 * jnp.sum(z) if ALL[name].differentiates else constant

        return build(name, f, cv)(key, q)

    def outside(q, cv):
        return jax.vmap(loss, (None, None, 0))(q, cv, keys).sum()

    arguments = (three(name), initial_cv())

    @jax.jit
    def both(q, cv):
        inside = jax.vmap(jax.grad(loss, (0, 1)), (None, None, 0))(q, cv, keys)
        inside = jax.tree.map(lambda g: g.sum(axis=0), inside)
        return jax.grad(outside, (0, 1))(q, cv), inside

    assert_close(*both(*arguments), rtol=1e-4, atol=1e-5)


@per_package
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


@pytest.mark.parametrize(
    "name",
    daily(
        ["reinforce_loo", "disarm"],
        [n for n, e in ALL.items() if not e.differentiates],
    ),
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


@per_mechanism
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


@per_mechanism
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
