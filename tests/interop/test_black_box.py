"""Plain Python functions as objectives: calls, batches, results, derivatives."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.battery.control_variates import initial_cv
from tests.battery.estimators import ALL, MAIN
from tests.battery.problems import KINDS
from tests.helpers.parameters import daily
from tests.helpers.trees import assert_close

KEY = jax.random.key(2)
Q = jd.Bernoulli(jnp.array([0.3, -0.8, 1.0]))
WEIGHTS = [3.0, -2.0, 1.0]


def transparent(z, t=1.0):
    return t * jnp.sum(z * jnp.array(WEIGHTS))


def one(z, t=1.0):
    assert isinstance(z, np.ndarray)
    return t * np.dot(z, WEIGHTS)


def many(z, t=1.0):
    assert isinstance(z, np.ndarray)
    assert z.ndim == 2
    return t * np.dot(z, WEIGHTS)


@pytest.mark.parametrize(
    ("name", "batched"),
    daily(
        [("reinforce_loo", True), ("arm", True), ("relax", False)],
        list(
            itertools.product(
                ["reinforce_loo", "arm", "nvil", "relax", "reinforce"], [False, True]
            )
        ),
    ),
)
def test_gradient_is_that_of_the_transparent_function(name, batched):
    q = KINDS[ALL[name].kind].three
    f = jd.black_box(many if batched else one, batched=batched)
    keys = jax.random.split(KEY, 3)

    def gradients(f):
        estimate = ALL[name].make(f, initial_cv(), False)
        return jax.jit(jax.vmap(jax.value_and_grad(estimate, 1), (0, None)))(keys, q)

    assert_close(gradients(f), gradients(transparent))


@pytest.mark.parametrize("name", [n for n in MAIN if ALL[n].differentiates])
def test_what_differentiates_f_refuses_it_before_any_call(name):
    calls = []
    f = jd.black_box(lambda z: calls.append(z) or 0.0)
    match = r"to be differentiable in z, got a function that calls Python.*_loo or jax"
    with pytest.raises(TypeError, match=match):
        ALL[name].make(f, initial_cv(), False)(KEY, KINDS[ALL[name].kind].three)
    assert not calls


def test_any_callback_gets_that_text():
    def f(z):
        shape = jax.ShapeDtypeStruct((), jnp.float32)
        return jnp.sum(z) + jax.pure_callback(one, shape, z)

    with pytest.raises(TypeError, match="that calls Python"):
        jd.mean_field(f)(KEY, Q)


def test_an_error_of_f_in_the_check_stays_itself():
    @jax.custom_jvp
    def f(z):
        return jnp.sum(z)

    @f.defjvp
    def f_jvp(primals, tangents):
        raise ValueError("no rule")

    with pytest.raises(ValueError, match="no rule"):
        jd.mean_field(f)(KEY, Q)


def test_samples_come_one_at_a_time_or_all_at_once():
    for batched, shapes in ((False, [(3,)] * 5), (True, [(5, 3)])):
        seen = []

        def fn(z, seen=seen):
            seen.append(z.shape)
            return z.sum(-1)

        f = jd.black_box(fn, batched=batched)
        estimate = jd.reinforce_loo(f, num_samples=5)
        jax.block_until_ready(jax.jit(jax.grad(estimate, 1))(KEY, Q))
        assert seen == shapes


def test_chunks_are_batches():
    seen = []

    def fn(z):
        seen.append(len(z))
        return many(z)

    estimate = jd.reinforce_loo(
        jd.black_box(fn, batched=True), num_samples=8, chunk_size=4
    )
    value = estimate(KEY, Q)
    assert seen == [4, 4]
    whole = jd.reinforce_loo(transparent, num_samples=8, chunk_size=4)
    assert_close(value, whole(KEY, Q))


def test_enumeration_is_one_call():
    seen = []

    def fn(z):
        seen.append(z.shape)
        return many(z)

    value = jd.exact(jd.black_box(fn, batched=True))(KEY, Q)
    assert seen == [(8, 3)]
    assert_close(value, jd.exact(transparent)(KEY, Q))


def test_without_vmap_the_batch_is_one():
    def fn(z, t):
        assert z.shape == (1, 3)
        assert t.shape == (1, 2)
        return z.sum(axis=1) + t[:, 0]

    f = jd.black_box(fn, batched=True)
    assert f(jnp.ones(3), jnp.ones(2)).shape == ()
    assert f(jnp.ones(3), jnp.ones(2)) == 4.0


def test_every_array_arrives_with_one_batch_axis():
    """Nested vmaps over different arguments, from different axes."""

    def fn(z, a, b, c, number, name):
        assert [x.shape for x in (z, a, b["b"], c)] == [(20, 3), (20,), (20, 2), (20,)]
        assert number == 2.0
        assert name == "name"
        return z.sum(axis=1) * a + b["b"][:, 1] * number + c

    def transparent(z, a, b, c):
        return z.sum() * a + b["b"][1] * 2.0 + c

    f = jd.black_box(fn, batched=True)
    z = jnp.arange(12.0).reshape(3, 4)
    a, b, c = jnp.arange(5.0), {"b": jnp.arange(8.0).reshape(4, 2)}, jnp.float32(0.5)

    def nested(f):
        inner = jax.vmap(f, (None, 0, None, None))
        return jax.jit(jax.vmap(inner, (1, None, 0, None)))(z, a, b, c)

    out = nested(lambda *args: f(*args, 2.0, "name"))
    assert out.shape == (4, 5)
    assert_close(out, nested(transparent))


def test_a_shared_array_is_not_copied_for_the_batch():
    def fn(z, table):
        assert table.shape == (6, 1000)
        assert table.strides[0] == 0
        return z.sum(axis=1)

    f = jd.black_box(fn, batched=True)
    out = jax.vmap(f, (0, None))(jnp.ones((6, 3)), jnp.ones(1000))
    assert_close(out, jnp.full(6, 3.0))


@pytest.mark.thorough
def test_pytrees_of_samples_and_scans():
    def fn(z, t):
        return z["a"].sum() + t * z["b"][0].sum()

    q = {"a": Q, "b": (jd.OneHotCategorical(jnp.zeros(4)),)}
    estimate = jd.reinforce(jd.black_box(fn))

    def body(carry, x):
        return carry, estimate(x[0], q, x[1])

    keys, ts = jax.random.split(KEY, 3), jnp.arange(3.0)
    _, values = jax.lax.scan(body, None, (keys, ts))
    loop = [estimate(k, q, t) for k, t in zip(keys, ts, strict=True)]
    assert_close(values, jnp.stack(loop))


def test_keys_arrive_as_numbers():
    def fn(z, key):
        assert key.dtype == np.uint32
        return np.random.default_rng(key).normal()

    f = jd.black_box(fn)
    keys = jax.random.split(KEY, 3)
    values = jax.vmap(f, (None, 0))(jnp.ones(3), keys)
    assert len(set(np.asarray(values).tolist())) == 3
    assert values[1] == f(jnp.ones(3), keys[1])


@pytest.mark.parametrize(
    ("result", "match"),
    [
        (np.ones(2), r"to return one real number, got shape \(2,\)\. Reduce it inside"),
        (np.ones(1), r"to return one real number, got shape \(1,\)"),
        (None, "of a real dtype, got None. Return Python or NumPy numbers"),
        (1j, "of a real dtype, got dtype complex128"),
        ("one", "of a real dtype, got dtype <U3"),
    ],
)
def test_a_bad_result_is_named(result, match):
    with pytest.raises(RuntimeError, match=match):
        jax.block_until_ready(jd.reinforce(jd.black_box(lambda z: result))(KEY, Q))


@pytest.mark.parametrize("shape", [(), (1,), (3,), (4, 1), (2, 2)])
def test_a_bad_batch_is_named(shape):
    f = jd.black_box(lambda z: np.ones(shape), batched=True)
    match = r"return an array of shape \(4,\), got shape .* one number per sample"
    with pytest.raises(RuntimeError, match=match):
        jax.block_until_ready(jax.vmap(f)(jnp.ones((4, 3))))


@pytest.mark.parametrize("wrap", [lambda g: g, jax.jit])
def test_what_the_function_raises_surfaces(wrap):
    def fn(z):
        raise LookupError("no simulator at this address")

    gradient = wrap(jax.grad(jd.reinforce_loo(jd.black_box(fn), num_samples=2), 1))
    with pytest.raises(RuntimeError, match="LookupError: no simulator at this address"):
        jax.block_until_ready(gradient(KEY, Q))


@pytest.mark.parametrize("result", [3, True, np.int64(3), np.float64(3), 3.0])
def test_any_real_number_will_do(result):
    value = jd.black_box(lambda z: result)(jnp.ones(3))
    assert value.dtype == jnp.float32
    assert value == float(result)


def test_dtypes_of_the_result(x64):
    value = jd.black_box(lambda z: 0.1, dtype=jnp.float64)(jnp.ones(3))
    assert value.dtype == jnp.float64
    assert value == 0.1
    assert jd.black_box(lambda z: 0.1)(jnp.ones(3)).dtype == jnp.float32
    half = jd.black_box(lambda z: np.asarray(z).sum(), dtype=jnp.bfloat16)
    assert half(jnp.ones(3, jnp.bfloat16)).dtype == jnp.bfloat16


def test_a_dtype_that_is_not_there_is_refused():
    with pytest.raises(TypeError, match=r"enabled in jaxdiscrete\.black_box, got f"):
        jd.black_box(one, dtype=jnp.float64)
    with pytest.raises(TypeError, match=r"a floating dtype in .*, got int32"):
        jd.black_box(one, dtype=jnp.int32)


@pytest.mark.parametrize("batched", [False, True])
def test_a_derivative_in_the_arguments_is_an_error_and_never_zero(batched):
    f = jd.black_box(many if batched else one, batched=batched)
    estimate = jd.reinforce_loo(f, num_samples=2)
    t = jnp.array(2.0)
    gradient = jax.jit(jax.grad(estimate, 1))(KEY, Q, t)
    expected = jd.reinforce_loo(transparent, num_samples=2)
    expected = jax.jit(jax.grad(expected, 1))(KEY, Q, t)
    assert_close(gradient, expected)
    for argnum, given in ((2, estimate), (0, lambda t: estimate(KEY, Q, t))):
        with pytest.raises(TypeError, match="no derivative of a"):
            jax.grad(given, argnum)(*((KEY, Q, t) if argnum else (t,)))
    with pytest.raises(TypeError, match="no derivative of a"):
        jax.grad(f)(jnp.ones(3))


def test_parameters_of_q_may_come_from_where_the_arguments_come_from():
    """What f is told of a live array, stopped, leaves the gradient to q alone."""

    def loss(logits, f):
        q = jd.Bernoulli(logits)
        return jd.reinforce_loo(f, num_samples=3)(
            KEY, q, jax.lax.stop_gradient(logits)[0]
        )

    gradient = jax.jit(jax.grad(loss), static_argnums=1)
    expected = gradient(Q.logits, transparent)
    assert_close(gradient(Q.logits, jd.black_box(one)), expected)
