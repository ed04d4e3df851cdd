"""What reaches baselines, critics, temperatures and scales is d E|g|^2."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import jaxdiscrete as jd
from tests.battery.control_variates import initial_cv
from tests.battery.estimators import ALL
from tests.helpers.parameters import daily
from tests.helpers.trees import assert_close

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
EPS = 1e-5


def f(z):
    weights = jnp.arange(1.0, z.size + 1.0, dtype=z.dtype)
    return jnp.sum(jnp.sin(2.0 * z) * weights) + z[0] ** 2 * z[1] - 0.5


def second_moment(name, q, cv):
    gradient = jax.grad(ALL[name].make(f, cv, False), argnums=1)
    samples = jax.vmap(lambda k: gradient(k, q))(KEYS)
    return jnp.mean(jnp.sum(jnp.square(samples.logits), axis=-1))


#: The categorical case where there is one, of each way to be trained; baselines are in
#: tests of their own.
DAILY = [
    (n, "binary" if ALL[n].kind == "binary" else "categorical")
    for n in ("rebar", "control_variate")
]


@pytest.mark.parametrize(
    ("name", "kind"),
    daily(
        DAILY,
        [(n, kind) for n in TRAINED for kind in QS if ALL[n].kind in ("any", kind)],
    ),
)
def test_gradient_equals_finite_differences(name, kind, x64):
    q = jax.tree.map(lambda x: x.astype(jnp.float64), QS[kind])
    cv = jax.tree.map(lambda x: x.astype(jnp.float64), initial_cv())
    start, unravel = ravel_pytree(cv)

    def loss(cv, sign):
        estimate = ALL[name].make(f, cv, False)
        return sign * jnp.mean(jax.vmap(lambda k: estimate(k, q))(KEYS))

    def difference(step):
        moved = [
            second_moment(name, q, unravel(x)) for x in (start + step, start - step)
        ]
        return (moved[0] - moved[1]) / (2.0 * EPS)

    @jax.jit
    def received_and_expected():
        signs = jnp.array([1.0, -1.0])
        received = jax.vmap(jax.grad(loss), (None, 0))(cv, signs)
        return received, jax.lax.map(difference, EPS * jnp.eye(start.size))

    received, expected = received_and_expected()
    for field, want in unravel(expected).items():
        upright, negated = received[field]
        # Maximising the value still minimises the variance.
        assert_close(upright, negated)
        if field not in TRAINED[name]:
            want = np.zeros_like(want)
        np.testing.assert_allclose(upright, want, rtol=2e-4, atol=1e-7)
        if field in TRAINED[name]:
            assert np.any(np.abs(upright) > 1e-6)


@pytest.mark.parametrize("name", daily(["double_cv"], TRAINED))
def test_loss_scaling_scales_the_objective(name):
    """A weight, a loss scale of 1024 and remat act as on any other loss."""

    def loss(cv, weight):
        estimate = ALL[name].make(f, cv, False)
        return weight * jax.checkpoint(lambda k: estimate(k, Q))(KEYS[0])

    gradient = jax.jit(jax.grad(loss))
    one = gradient(initial_cv(), 1.0)
    scaled = gradient(initial_cv(), -1024.0)
    assert_close(scaled, jax.tree.map(lambda g: 1024.0 * g, one), rtol=1e-4)
