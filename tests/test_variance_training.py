"""What reaches baselines, critics, temperatures and scales is d E|g|^2."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import assert_close
from estimators import ALL, initial_cv

import jaxdiscrete as jd

KEYS = jax.random.split(jax.random.key(5), 64)
Q = jd.Bernoulli(jnp.array([0.3, -0.8]))
QC = jd.OneHotCategorical(jnp.array([0.5, -0.2, 0.1, -jnp.inf]))

TRAINED = {
    "reinforce_baseline": ("baseline",),
    "muprop": ("scale",),
    "muprop_second_order": ("scale", "baseline"),
    "rebar": ("log_temperature", "scale"),
    "rebar_muprop_relaxation": ("log_temperature", "scale"),
    "rebar_independent": ("log_temperature", "scale"),
    "rebar_independent_muprop_relaxation": ("log_temperature", "scale"),
    "relax": ("log_temperature", "weights"),
    "relax_scale": ("log_temperature", "scale", "weights"),
    "relax_independent": ("log_temperature", "weights"),
    "relax_independent_scale": ("log_temperature", "scale", "weights"),
    "control_variate": ("scale",),
    "double_cv": ("scale",),
    "rodeo": ("weights",),
}
QS = {"binary": Q, "categorical": QC}


def f(z):
    weights = jnp.arange(1.0, z.size + 1.0, dtype=z.dtype)
    return jnp.sum(jnp.sin(2.0 * z) * weights) + z[0] ** 2 * z[1] - 0.5


def second_moment(name, q, cv):
    gradient = jax.grad(ALL[name].make(f, cv, False), argnums=1)
    samples = jax.vmap(lambda k: gradient(k, q))(KEYS)
    return jnp.mean(jnp.sum(jnp.square(samples.logits), axis=-1))


@pytest.mark.parametrize(
    ("name", "kind"),
    [(n, kind) for n in TRAINED for kind in QS if ALL[n].kind in ("any", kind)],
)
def test_gradient_equals_finite_differences(name, kind, x64):
    q = jax.tree.map(lambda x: x.astype(jnp.float64), QS[kind])
    cv = jax.tree.map(lambda x: x.astype(jnp.float64), initial_cv())

    @jax.jit
    def loss(cv, sign):
        estimate = ALL[name].make(f, cv, False)
        return sign * jnp.mean(jax.vmap(lambda k: estimate(k, q))(KEYS))

    moment = jax.jit(lambda cv: second_moment(name, q, cv))
    received = jax.grad(loss)(cv, jnp.float64(1.0))
    negated = jax.grad(loss)(cv, jnp.float64(-1.0))
    assert_close(received, negated)  # maximising the value still minimises variance
    eps = 1e-5
    for field, leaf in cv.items():
        flat = leaf.reshape(-1)
        expected = []
        for i in range(flat.size):
            moved = [
                moment(cv | {field: flat.at[i].add(s * eps).reshape(leaf.shape)})
                for s in (1.0, -1.0)
            ]
            expected.append((moved[0] - moved[1]) / (2.0 * eps))
        if field not in TRAINED[name]:
            expected = np.zeros(flat.size)
        np.testing.assert_allclose(
            np.ravel(received[field]), np.ravel(expected), rtol=2e-4, atol=1e-7
        )
        if field in TRAINED[name]:
            assert np.any(np.abs(received[field]) > 1e-6)


@pytest.mark.parametrize("name", TRAINED)
def test_loss_scaling_scales_the_objective(name):
    """A weight, a loss scale of 1024 and remat act as on any other loss."""

    def loss(cv, weight):
        estimate = ALL[name].make(f, cv, False)
        return weight * jax.checkpoint(lambda k: estimate(k, Q))(KEYS[0])

    gradient = jax.jit(jax.grad(loss))
    one = gradient(initial_cv(), 1.0)
    scaled = gradient(initial_cv(), -1024.0)
    assert_close(scaled, jax.tree.map(lambda g: 1024.0 * g, one), rtol=1e-4)


def test_python_numbers_are_constants_and_numpy_arrays_work():
    by_number = jd.rebar(f, temperature=0.5, scale=1.0)
    by_array = jd.rebar(f, temperature=np.float32(0.5), scale=jnp.array(1.0))
    key = KEYS[0]
    assert_close(jax.grad(by_number, 1)(key, Q), jax.grad(by_array, 1)(key, Q))


def test_one_temperature_and_scale_a_latent():
    """Arrays of the latent's shape and pytrees like q train entry by entry."""
    q = {"a": Q, "b": jd.OneHotCategorical(jnp.zeros((2, 3)))}

    def g(z):
        return f(z["a"]) + jnp.sum(z["b"] ** 2 * jnp.arange(3.0)[None, :])

    cv = {
        "temperature": {"a": jnp.array([0.3, 0.6]), "b": jnp.array([0.5, 0.9])},
        "scale": {"a": jnp.array([1.0, 0.5]), "b": jnp.array(0.8)},
    }

    @jax.jit
    def moment(cv):
        gradient = jax.grad(jd.rebar(g, **cv), argnums=1)
        squares = [
            jnp.sum(jnp.square(x))
            for x in jax.tree.leaves(jax.vmap(lambda k: gradient(k, q))(KEYS))
        ]
        return sum(squares) / len(KEYS)

    def loss(cv):
        return jnp.mean(jax.vmap(lambda k: jd.rebar(g, **cv)(k, q))(KEYS))

    received = jax.jit(jax.grad(loss))(cv)
    for group in cv:
        for part, leaf in cv[group].items():
            direction = jnp.ones_like(leaf).at[..., -1:].set(2.0) if leaf.ndim else 1.0
            eps = 1e-2
            moved = [
                moment(cv | {group: cv[group] | {part: leaf + s * eps * direction}})
                for s in (1.0, -1.0)
            ]
            expected = (moved[0] - moved[1]) / (2 * eps)
            got = jnp.sum(received[group][part] * direction)
            np.testing.assert_allclose(got, expected, rtol=2e-2)


@pytest.mark.parametrize("with_centre", [False, True])
def test_nvil_is_fitted_by_squared_error(with_centre):
    params = {"b": jnp.array(0.4), "c": jnp.array(0.3), "v": jnp.array(9.0)}

    def loss(p, key):
        extra = {"centre": p["c"], "variance": p["v"]} if with_centre else {}
        return jd.nvil(f, lambda: 2.0 * p["b"], **extra)(key, Q)

    key = KEYS[1]
    value = float(loss(params, key))
    b, c, v = 0.8, 0.3 * with_centre, 9.0
    received = jax.grad(loss)(params, key)
    error = value - b - c
    np.testing.assert_allclose(received["b"], -2.0 * error, rtol=1e-5)
    if with_centre:
        np.testing.assert_allclose(received["c"], -error, rtol=1e-5)
        np.testing.assert_allclose(received["v"], -(error**2 - v), rtol=1e-5)
    score = jax.grad(lambda q: q.log_prob(Q.sample(key)).sum())(Q).logits
    to_q = jax.grad(
        lambda q: jd.nvil(
            f, b, centre=c if with_centre else None, variance=v if with_centre else None
        )(key, q)
    )(Q).logits
    scale = 3.0 if with_centre else 1.0
    np.testing.assert_allclose(to_q, error / scale * score, rtol=1e-4)


def test_moving_average_is_plain_sgd_on_the_baseline():
    c, rate, reference = jnp.array(0.0), 0.1, 0.0
    for key in KEYS[:5]:
        estimate = jd.nvil(f, c)
        value, slope = jax.value_and_grad(lambda c, key=key: jd.nvil(f, c)(key, Q))(c)
        # The gradient of this step uses the average without this step's sample.
        gradient = jax.grad(estimate, argnums=1)(key, Q).logits
        score = jax.grad(lambda q, key=key: q.log_prob(Q.sample(key)).sum())(Q).logits
        np.testing.assert_allclose(gradient, (value - reference) * score, rtol=1e-5)
        c = c - rate * slope
        reference = (1 - rate) * reference + rate * float(value)
        np.testing.assert_allclose(c, reference, rtol=1e-6)


def test_running_optimal_baseline_is_fitted_by_squared_error():
    def loss(u, w, key):
        return jd.reinforce_running_optimal_baseline(f, weighted_value=u, weight=w)(
            key, Q
        )

    key = KEYS[2]
    value = float(loss(jnp.array(0.5), jnp.array(2.0), key))
    score = jax.grad(lambda q: q.log_prob(Q.sample(key)).sum())(Q).logits
    squared = float(jnp.sum(score**2))
    to_u, to_w = jax.grad(loss, (0, 1))(jnp.array(0.5), jnp.array(2.0), key)
    np.testing.assert_allclose(to_u, 0.5 - value * squared, rtol=1e-5)
    np.testing.assert_allclose(to_w, 2.0 - squared, rtol=1e-5)
    empty = jd.reinforce_running_optimal_baseline(f, weighted_value=0.0, weight=0.0)
    assert_close(jax.grad(empty, 1)(key, Q), jax.grad(jd.reinforce(f), 1)(key, Q))


def test_baseline_inputs_through_arguments_get_no_gradient():
    def loss(x, key):
        objective = lambda z, x: jnp.sum(z) * 1.0  # noqa: E731
        return jd.reinforce(objective, baseline=lambda x: x**2)(key, Q, x)

    assert jax.grad(loss)(jnp.array(0.7), KEYS[0]) == 0.0


def test_integer_arrays_are_constants():
    by_integer = jd.rebar(f, temperature=jnp.array(1), scale=jnp.ones(2, jnp.int32))
    by_number = jd.rebar(f, temperature=1.0, scale=1.0)
    gradients = [jax.grad(e, 1)(KEYS[0], Q) for e in (by_integer, by_number)]
    assert_close(*gradients)


def test_nvil_with_a_centre_alone_is_a_moving_average():
    by_centre = jd.nvil(f, None, centre=jnp.array(0.4))
    by_baseline = jd.nvil(f, jnp.array(0.4))
    gradients = [jax.grad(e, 1)(KEYS[0], Q) for e in (by_centre, by_baseline)]
    assert_close(*gradients)


def test_aux_may_be_anything():
    value, aux = jd.reinforce(lambda z: (jnp.sum(z), "text"), has_aux=True)(KEYS[0], Q)
    assert aux == "text"
    assert value == jnp.sum(Q.sample(KEYS[0]))
