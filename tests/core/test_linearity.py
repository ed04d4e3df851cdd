"""A function of an estimate that is not linear is found, and no other."""

import jax
import jax.numpy as jnp
import pytest

import jaxdiscrete as jd
from tests.helpers.parameters import daily

KEY = jax.random.key(0)


def squares(z):
    return jnp.sum((z - 0.45) ** 2)


def estimated(params, key=KEY):
    return jd.reinforce(squares)(key, jd.Bernoulli(params))


def rows(params):
    return jax.vmap(lambda k: estimated(params, k))(jax.random.split(KEY, 3))


def nested(outer, function):
    """An estimate of a function of an estimate."""

    def inner(z):
        value = jd.reinforce(lambda y: jnp.sum(y * z))(KEY, jd.Bernoulli(z))
        return function(value) + squares(z)

    return lambda params: outer(inner)(KEY, jd.Bernoulli(params))


LINEAR = {
    "scaled": lambda p: -2.0 * estimated(p) / 3.0 + jnp.sum(p**2),
    "mean": lambda p: rows(p).mean(),
    "weighted": lambda p: rows(p) @ jnp.arange(3.0),
    "sum of a scan": lambda p: jax.lax.scan(
        lambda c, k: (c + estimated(p, k), None), 0.0, jax.random.split(KEY, 3)
    )[0],
    "guarded": lambda p: jnp.where(jnp.isfinite(estimated(p)), estimated(p), 0.0),
    "product": lambda p: estimated(p) * estimated(p, jax.random.key(1)),
    "stopped": lambda p: estimated(p) * jax.lax.stop_gradient(estimated(p)),
    "bound": lambda p: jd.bounds.vimco(squares, num_samples=3)(KEY, jd.Bernoulli(p)),
    "exact": nested(jd.exact, lambda x: 2.0 * x),
    "rebar": nested(lambda f: jd.rebar(f, temperature=0.5), lambda x: 2.0 * x),
    "leave-one-out": nested(
        lambda f: jd.reinforce_loo(f, num_samples=2), lambda x: 2.0 * x
    ),
    "unordered set": nested(
        lambda f: jd.unordered_set(f, num_samples=2), lambda x: 2.0 * x
    ),
    "disarm": nested(jd.disarm, lambda x: 2.0 * x),
    "not taken": lambda p: jax.lax.select(True, estimated(p), jnp.square(estimated(p))),
}
NONLINEAR = {
    "log": (lambda p: jnp.log(estimated(p)), "log"),
    "square": (lambda p: jnp.square(estimated(p)), "square"),
    "clip": (lambda p: jnp.clip(estimated(p), 0.0, 1.0), "max"),
    "inverse": (lambda p: 1.0 / estimated(p), "div"),
    "comparison": (
        lambda p: jnp.where(estimated(p) > 1.0, estimated(p), 0.0),
        "gt",
    ),
    "logsumexp": (lambda p: jnp.log(jnp.exp(rows(p)).mean()), "exp"),
    "product of a scan": (
        lambda p: jax.lax.scan(
            lambda c, k: (c * jnp.exp(estimated(p, k)), None),
            1.0,
            jax.random.split(KEY, 3),
        )[0],
        "exp",
    ),
    "nested": (nested(jd.reinforce, jnp.exp), "exp"),
    "parameters": (
        lambda p: estimated(p * estimated(p)),
        "the parameters of a distribution",
    ),
}


#: Of what is nested the smallest.
DAILY = set(LINEAR) - {"exact", "rebar", "unordered set", "disarm"}


@pytest.mark.parametrize("name", daily(DAILY, LINEAR))
def test_a_linear_function_of_estimates_passes(name):
    path = jd.gradient_path(LINEAR[name], jnp.array([0.5, -1.0]))
    assert path.nonlinearity == ""
    assert path.ok


@pytest.mark.parametrize("name", NONLINEAR)
def test_another_function_of_an_estimate_is_reported(name):
    loss, operation = NONLINEAR[name]
    path = jd.gradient_path(loss, jnp.array([0.5, -1.0]))
    assert path.nonlinearity == operation
    assert not path.ok
    message = f"value of an estimate through {operation}, which is not linear"
    assert message in str(path)
    with pytest.raises(AssertionError, match=message):
        jd.testing.assert_linear_in_estimates(loss, jnp.array([0.5, -1.0]))
