"""Double control variates: their formula, their exact cases and the published toy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdiscrete as jd
from tests.helpers.parameters import daily
from tests.helpers.statistics import gradient_samples
from tests.helpers.trees import assert_close, flat

KEY = jax.random.key(0)
Q = jd.Bernoulli(jnp.array([0.3, -0.8, 1.0]))
ROWS = jnp.array([[0.3, -0.2, 0.5], [1.0, 0.0, -jnp.inf]])
MIXED = {"a": Q, "b": jd.OneHotCategorical(ROWS)}


def side_by_side(z):
    return jnp.concatenate([z["a"], z["b"].reshape(-1)])


def smooth(z):
    x = side_by_side(z)
    return jnp.dot(x, jnp.linspace(-3.0, 4.0, 9)) + jnp.sin(2.0 * x[0] * x[4]) + 5.0


def linear(z):
    return jnp.dot(side_by_side(z), jnp.linspace(-3.0, 4.0, 9)) + 5.0


def variance(estimate, q, num=20_000):
    return gradient_samples(estimate, q, num=num).var(axis=0).sum()


@pytest.mark.parametrize(
    "scale", [0.0, pytest.param(jnp.array(0.0), marks=pytest.mark.thorough)]
)
def test_scale_zero_is_leave_one_out(scale):
    ours = jd.double_cv(
        lambda z: (smooth(z), z), num_samples=4, scale=scale, has_aux=True
    )
    loo = jd.reinforce_loo(lambda z: (smooth(z), z), num_samples=4, has_aux=True)
    both = [
        jax.jit(jax.value_and_grad(e, 1, has_aux=True))(KEY, MIXED) for e in (ours, loo)
    ]
    assert_close(*both, rtol=1e-4)
    assert both[0][0][1]["a"].shape == (4, 3)


def test_linear_functions_have_no_variance_at_scale_one():
    estimate = jd.double_cv(linear, num_samples=2, scale=1.0)
    samples = gradient_samples(estimate, MIXED, num=100)
    exact = flat(jax.jit(jax.grad(jd.exact(linear), 1))(KEY, MIXED))
    expected = np.broadcast_to(exact, samples.shape)
    np.testing.assert_allclose(samples, expected, atol=5e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("num_samples", daily([2], [2, 5]))
def test_nearly_linear_functions_have_less_variance_than_leave_one_out(num_samples):
    ours = jd.double_cv(smooth, num_samples=num_samples, scale=1.0)
    loo = jd.reinforce_loo(smooth, num_samples=num_samples)
    assert variance(ours, MIXED) < 0.1 * variance(loo, MIXED)


def test_it_is_the_formula_of_its_docstring():
    scale, count = np.array([0.7, -0.3, 1.2]), 4
    f = lambda z: jnp.sum(jnp.exp(z * jnp.arange(3.0))) * z[1] - z[0] * z[2]  # noqa: E731
    estimate = jd.double_cv(
        lambda z: (f(z), z), num_samples=count, scale=scale, has_aux=True
    )
    (value, z), gradient = jax.jit(jax.value_and_grad(estimate, 1, has_aux=True))(
        KEY, Q
    )
    values = np.asarray(jax.jit(jax.vmap(f))(z), np.float64)
    slopes = np.asarray(jax.jit(jax.vmap(jax.grad(f)))(z), np.float64)
    z, mu = np.asarray(z, np.float64), np.asarray(Q.mean(), np.float64)
    a = [np.mean(np.delete(slopes, k, 0), axis=0) for k in range(count)]
    h = np.array([values[k] - (scale * a[k]) @ (z[k] - mu) for k in range(count)])
    expected = np.zeros(3)
    for k in range(count):
        expected += (h[k] - np.delete(h, k).mean()) * (z[k] - mu) / count
        expected += scale * a[k] * mu * (1.0 - mu) / count
    assert_close(value, values.mean())
    np.testing.assert_allclose(gradient.logits, expected, rtol=1e-4)


@pytest.mark.thorough
def test_one_scale_a_latent_trains_entry_by_entry():
    keys = jax.random.split(KEY, 64)
    scale = {"a": jnp.array([1.0, 0.5, 0.2]), "b": jnp.array([0.8, -0.4])}

    def estimate(scale):
        return jd.double_cv(smooth, num_samples=2, scale=scale)

    @jax.jit
    def moment(scale):
        gradients = jax.vmap(lambda k: jax.grad(estimate(scale), 1)(k, MIXED))(keys)
        return sum(jnp.sum(g**2) for g in jax.tree.leaves(gradients)) / len(keys)

    received = jax.jit(
        jax.grad(lambda s: jnp.mean(jax.vmap(lambda k: estimate(s)(k, MIXED))(keys)))
    )(scale)
    for part, x in scale.items():
        for i in range(x.size):
            moved = [moment(scale | {part: x.at[i].add(s * 1e-2)}) for s in (1.0, -1.0)]
            expected = (moved[0] - moved[1]) / 2e-2
            np.testing.assert_allclose(
                received[part][i], expected, rtol=2e-2, atol=1e-3
            )


# The toy of Titsias and Shi: maximise E ||b - t||^2 / D over D = 200 logits that start
# at 0, with t = .499 and K = 2. On bits f is t^2 + SLOPE * sum(b).
SLOPE = (1.0 - 2.0 * 0.499) / 200


def toy(b):
    return jnp.mean((b - 0.499) ** 2)


def leave_one_out_of(scale):
    del scale
    return jd.reinforce_loo(toy, num_samples=2)


def double_cv_of(scale):
    return jd.double_cv(toy, num_samples=2, scale=scale)


def disarm_of(scale):
    del scale
    return jd.disarm(toy)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("make", "factor"),
    daily(
        [(double_cv_of, 200 / 16)],
        [(leave_one_out_of, 200 / 16), (double_cv_of, 200 / 16), (disarm_of, 199 / 16)],
    ),
)
def test_published_variance_at_the_start_of_the_toy(make, factor):
    """1.3e-9 to 1.35e-9 in the paper's figure: the mean over coordinates."""
    q = jd.Bernoulli(jnp.zeros(200))
    expected = factor * SLOPE**2  # by hand
    assert abs(expected / 1.3e-9 - 1.0) < 0.05
    samples = gradient_samples(make(0.0), q, num=20_000)
    # The mean of a squared sum of 200 terms: a relative standard error of 1 %.
    assert abs(samples.var(axis=0).mean() / expected - 1.0) < 4.5 * 0.01


@pytest.mark.thorough
def test_the_toy_ends_as_published():
    """After 2000 steps .2510 for double_cv, .2505 for leave-one-out, .25055 DisARM."""

    def final_value(make):
        def loss(params, key):
            return -make(params["scale"])(key, jd.Bernoulli(params["logits"]))

        tx = optax.multi_transform(
            {
                name: optax.rmsprop(rate, eps=1e-7, eps_in_sqrt=False)
                for name, rate in (("logits", 1e-2), ("scale", 5e-4))
            },
            {"logits": "logits", "scale": "scale"},
        )

        def step(carry, key):
            params, state = carry
            updates, state = tx.update(jax.grad(loss)(params, key), state)
            return (optax.apply_updates(params, updates), state), None

        @jax.jit
        def train(params):
            keys = jax.random.split(jax.random.key(1), 2000)
            (params, _), _ = jax.lax.scan(step, (params, tx.init(params)), keys)
            return 0.499**2 + SLOPE * jnp.sum(jax.nn.sigmoid(params["logits"]))

        return float(train({"logits": jnp.zeros(200), "scale": jnp.array(0.0)}))

    assert final_value(double_cv_of) > 0.25095  # at most .251001
    assert abs(final_value(leave_one_out_of) - 0.2505) < 1e-4
    assert abs(final_value(disarm_of) - 0.25055) < 1e-4


@pytest.mark.thorough
def test_training_the_scale_takes_variance_away():
    """By plain SGD, once the logits of the toy have left 0."""
    q = jd.Bernoulli(jnp.full(200, 0.5))
    tx = optax.sgd(40.0)

    def loss(scale, key):
        keys = jax.random.split(key, 64)
        return -jnp.mean(jax.vmap(lambda k: double_cv_of(scale)(k, q))(keys))

    def step(carry, key):
        scale, state = carry
        updates, state = tx.update(jax.grad(loss)(scale, key), state)
        return (optax.apply_updates(scale, updates), state), None

    @jax.jit
    def train(scale):
        keys = jax.random.split(KEY, 50)
        return jax.lax.scan(step, (scale, tx.init(scale)), keys)[0][0]

    trained = train(jnp.array(0.0))
    assert variance(double_cv_of(trained), q) < 0.1 * variance(double_cv_of(0.0), q)


def test_samples_must_be_two_and_scales_must_fit():
    match = r"num_samples >= 2 in jaxdiscrete\.double_cv, got 1\. The slope at each"
    with pytest.raises(ValueError, match=match):
        jd.double_cv(smooth, num_samples=1, scale=1.0)
    for bad, match in (
        (jnp.ones(5), r"scale to be one number or an array of the latent's shape"),
        ({"c": 1.0}, r"scale to be one number, .* or a pytree of q's structure"),
    ):
        with pytest.raises(ValueError, match=match):
            jd.double_cv(smooth, num_samples=2, scale=bad)(KEY, MIXED)
    with pytest.raises(TypeError, match="scale to be a number or an array, got None"):
        jd.double_cv(smooth, num_samples=2, scale=None)(KEY, MIXED)
