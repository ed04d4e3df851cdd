"""What perturbed solvers share: everything around the gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.helpers.parameters import daily
from tests.helpers.trees import all_finite, assert_close
from tests.solvers.problems import (
    COST,
    KEY,
    THETA,
    best,
    best_of_each,
    both,
    curved,
    imle,
    linear,
    perturbed,
    two_best,
)


@both
def test_gradient_to_arguments_and_closures_of_f_is_pathwise(transform):
    def f(z, t):
        return curved(z, t), z

    def mean_at(t, z):
        rows = z.reshape(-1, 4)
        return jnp.mean(jax.vmap(curved, (0, None))(rows, t))

    def as_argument(t):
        return transform(f, has_aux=True)(KEY, THETA, t)

    def as_closure(t):
        return transform(lambda z: f(z, t), has_aux=True)(KEY, THETA)

    for loss in (as_argument, as_closure, jax.checkpoint(as_argument)):
        gradient, z = jax.jit(jax.grad(loss, has_aux=True))(jnp.array(1.3))
        assert_close(gradient, jax.jit(jax.grad(mean_at))(jnp.array(1.3), z))


@pytest.mark.thorough
@both
def test_an_estimator_inside_f_keeps_its_gradient(transform):
    """f is evaluated once, for its value and for its derivative in z."""

    def inner(z, w):
        q = jd.Bernoulli(w * jnp.sum(z * COST))
        return jd.reinforce(lambda y: 3.0 * y + 1.0)(jax.random.key(1), q)

    f = lambda z, w: (inner(z, w), z)  # noqa: E731

    def loss(w):
        return transform(f, has_aux=True)(KEY, THETA, w)

    w = jnp.array(0.6)
    gradient, z = jax.jit(jax.grad(loss, has_aux=True))(w)
    rows = z.reshape(-1, 4)
    expected = jax.jit(jax.vmap(jax.grad(inner, argnums=1), (0, None)))(rows, w).mean()
    assert_close(gradient, expected)
    assert expected != 0


@pytest.mark.parametrize("transform", daily([perturbed], [perturbed, imle]))
def test_gradient_agrees_under_every_transformation(transform):
    theta = {"a": THETA, "b": jnp.array([[0.5, 0.1], [-0.3, 0.2]])}

    def f(z, t):
        return curved(z["a"], t) + jnp.sum(z["b"] ** 2 * jnp.array([[2.0, -1.0]]))

    def gradients(key, theta, t):
        estimate = transform(f, best_of_each)
        return jax.value_and_grad(estimate, (1, 2))(key, theta, t)

    keys = jax.random.split(KEY, 3)
    t = jnp.array(1.1)
    rows = [jax.jit(gradients)(k, theta, t) for k in keys]
    rows = jax.tree.map(lambda *x: jnp.stack(x), *rows)
    assert_close(jax.jit(jax.vmap(gradients, (0, None, None)))(keys, theta, t), rows)
    _, scanned = jax.lax.scan(lambda c, k: (c, gradients(k, theta, t)), 0, keys)
    assert_close(scanned, rows)
    old = jax.random.key_data(keys[0])
    assert_close(jax.jit(gradients)(old, theta, t)[0], rows[0][0])
    assert all_finite(rows)
    assert bool(jnp.all(rows[1][0]["a"][:, 3] == 0))


@both
@pytest.mark.parametrize("dtype", daily(["bfloat16"], ["bfloat16", "float16"]))
def test_low_precision_scores_are_perturbed_in_float32(transform, dtype):
    seen = {"solver": set(), "f": set()}

    def solver(theta):
        seen["solver"].add(str(theta.dtype))
        return best(theta)

    def f(z):
        seen["f"].add(str(z.dtype))
        return jnp.sum(z * COST.astype(dtype)) ** 2

    estimate = transform(f, solver)
    value, gradient = jax.jit(jax.value_and_grad(estimate, 1))(KEY, THETA.astype(dtype))
    assert seen == {"solver": {"float32"}, "f": {dtype}}
    assert value.dtype == gradient.dtype == dtype
    assert all_finite((value, gradient))
    wide = jax.jit(jax.grad(transform(lambda z: linear(z) ** 2, solver), 1))
    expected = wide(KEY, THETA.astype(dtype).astype(jnp.float32))
    assert_close(gradient, expected, rtol=2e-2, atol=2e-2)


@pytest.mark.thorough
@both
def test_double_precision(transform, x64):
    theta = {"a": jnp.array(THETA, jnp.float64), "b": jnp.zeros(2, jnp.float32)}

    def f(z):
        assert (z["a"].dtype, z["b"].dtype) == (jnp.float64, jnp.float32)
        return jnp.sum(z["a"] ** 2) + z["b"][0].astype(jnp.float64)

    value, g = jax.jit(jax.value_and_grad(transform(f, best_of_each), 1))(KEY, theta)
    assert (value.dtype, g["a"].dtype, g["b"].dtype) == (
        jnp.float64,
        jnp.float64,
        jnp.float32,
    )
    assert all_finite((value, g))


@pytest.mark.parametrize(("transform", "calls"), [(perturbed, 1), (imle, 3)])
def test_calls_of_f(transform, calls):
    count = []

    def f(z):
        jax.debug.callback(lambda _: count.append(1), z[0])
        return curved(z)

    jax.jit(jax.grad(transform(f), 1))(KEY, THETA)
    jax.effects_barrier()
    assert len(count) == calls


@both
def test_a_black_box_solver(transform):
    def host(theta):
        return np.eye(4, dtype=np.float32)[np.argmax(theta, axis=-1)]

    def solver(theta):
        shape = jax.ShapeDtypeStruct(theta.shape, jnp.float32)
        return jax.pure_callback(host, shape, theta, vmap_method="expand_dims")

    def gradient(solver):
        keys = jax.random.split(KEY, 2)
        rows = jax.vmap(jax.value_and_grad(transform(curved, solver), 1), (0, None))
        return jax.jit(rows)(keys, THETA)

    assert_close(gradient(solver), gradient(best))


@both
def test_a_solver_is_not_differentiated(transform):
    """Nor what it closes over, though it is a smooth function of it here."""

    def loss(capacity):
        solver = lambda theta: capacity * jax.nn.softmax(theta)  # noqa: E731
        return transform(curved, solver)(KEY, THETA)

    assert jax.jit(jax.grad(loss))(jnp.array(2.0)) == 0


def test_scale_and_step_receive_no_gradient():
    assert (
        jax.jit(jax.grad(lambda s: perturbed(curved, noise_scale=s)(KEY, THETA)))(1.5)
        == 0
    )
    assert jax.jit(jax.grad(lambda s: imle(curved, step_size=s)(KEY, THETA)))(1.5) == 0


@pytest.mark.thorough
@pytest.mark.parametrize("solver", daily([two_best], [best, two_best]))
@both
def test_descent_finds_the_cheapest_decision(transform, solver):
    is_subset_of_imle = transform is imle and solver is two_best
    noise = {"noise": jd.noise.sum_of_gamma(2)} if is_subset_of_imle else {}
    cost = jnp.array([1.0, -1.0, 3.0, 0.3, -2.5])
    f = lambda z: jnp.dot(z, cost) + 0.1 * jnp.sum(z**2) ** 2  # noqa: E731
    count = {"num_samples" if transform is imle else "num_noise": 16}
    gradient = jax.grad(transform(f, solver, **count, **noise), argnums=1)

    @jax.jit
    def descend(theta, key):
        def step(theta, key):
            return theta - 0.5 * gradient(key, theta), None

        return jax.lax.scan(step, theta, jax.random.split(key, 300))[0]

    theta = descend(-1.0 * solver(-cost).astype(jnp.float32), KEY)
    assert_close(solver(theta).astype(jnp.float32), solver(-cost).astype(jnp.float32))


@both
@pytest.mark.parametrize(
    ("theta", "match"),
    [
        (
            jnp.arange(4),
            r"theta of jaxdiscrete\.\w+ to be a pytree of floating .*int32",
        ),
        (jd.Bernoulli(jnp.arange(4)), "a pytree of floating arrays, got int32"),
        ({}, "theta of .* to hold at least one array, got an empty pytree"),
    ],
)
def test_scores_are_floating(transform, theta, match):
    with pytest.raises(TypeError, match=match):
        transform(curved)(KEY, theta)


@both
@pytest.mark.parametrize(
    ("solver", "match"),
    [
        (
            jnp.argmax,
            r"shapes of theta, .*\[\(4,\)\]\), got .*\[\(\)\]\)\. Return an e",
        ),
        (lambda x: (x, x), r"got .*\[\(4,\), \(4,\)\]\)\. Return an entry for every"),
        (lambda x: x[:2], r"solver of jaxdiscrete\.\w+ to return the .* \[\(2,\)\]"),
    ],
)
def test_a_solver_returns_an_entry_for_every_score(transform, solver, match):
    with pytest.raises(ValueError, match=match):
        transform(curved, solver)(KEY, THETA)


@both
def test_what_f_returns_is_checked(transform):
    with pytest.raises(ValueError, match=r"f to return one real scalar, got shape"):
        transform(lambda z: z)(KEY, THETA)
    with pytest.raises(TypeError, match=r"\(scalar, aux\) with has_aux=True, got"):
        transform(curved, has_aux=True)(KEY, THETA)
    with pytest.raises(TypeError, match=r"f of .*derivative is zero by construction"):
        transform(lambda z: jnp.sum(jnp.round(z)))(KEY, THETA)


def test_numbers_are_checked():
    for transform, what in ((perturbed, "num_noise"), (imle, "num_samples")):
        with pytest.raises(ValueError, match=rf"{what} >= 1 in jaxdiscrete\.\w+, g"):
            transform(curved, **{what: 0})
    with pytest.raises(
        ValueError, match=r"Expected noise_scale > 0, got 0.0. Without noi"
    ):
        perturbed(curved, noise_scale=0.0)
    with pytest.raises(ValueError, match=r"Expected step_size > 0, got -1.0. It is t"):
        imle(curved, step_size=-1.0)
    with pytest.raises(ValueError, match=r"k >= 1 in jaxdiscrete\.sum_of_gamma, got 0"):
        jd.noise.sum_of_gamma(0)
    with pytest.raises(TypeError, match=r"num_terms of .*sum_of_gamma to be a Pyth"):
        jd.noise.sum_of_gamma(1, num_terms=2.0)
    with pytest.raises(ValueError, match=r"temperature > 0, got 0.0. 1 is standard"):
        jd.noise.sum_of_gamma(1, temperature=0.0)
