"""The estimators under shard_map, against the same computation without it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from tests.battery.control_variates import initial_cv
from tests.battery.estimators import ALL, MAIN
from tests.battery.problems import KINDS
from tests.helpers.parameters import daily
from tests.helpers.trees import assert_close


def f(z, theta):
    return jnp.sum(jnp.sin(theta * z)) * theta[0]


@pytest.mark.parametrize("name", daily(["reinforce_baseline", "disarm"], MAIN))
def test_shard_map_gives_the_same_gradients(name):
    """Examples over devices; model, temperature, scale and critic replicated."""
    mesh = Mesh(np.array(jax.devices()[:4]), ("data",))
    model = {"w": jnp.array([0.5, -0.5, 1.0]), "theta": jnp.array([0.5, -1.0, 2.0])}
    x = jax.random.normal(jax.random.key(0), (8, 3))
    keys = jax.random.key_data(jax.random.split(jax.random.key(1), 8))

    def local_loss(model, cv, x, keys):
        estimate = ALL[name].make(f, cv, False)

        def one(key, row):
            key = jax.random.wrap_key_data(key)
            q = KINDS[ALL[name].kind].of(model["w"] * row)
            return estimate(key, q, model["theta"])

        return jnp.sum(jax.vmap(one)(keys, x))

    def sharded(model, cv, x, keys):
        def local(model, cv, x, keys):
            return jax.lax.psum(local_loss(model, cv, x, keys), "data")

        mapped = jax.shard_map(
            local, mesh=mesh, in_specs=(P(), P(), P("data"), P("data")), out_specs=P()
        )
        return mapped(model, cv, x, keys)

    args = (model, initial_cv(), x, keys)
    expected = jax.jit(jax.value_and_grad(local_loss, (0, 1)))(*args)
    outside = jax.jit(jax.value_and_grad(sharded, (0, 1)))(*args)
    assert_close(outside, expected, rtol=1e-4, atol=1e-5)

    def local_step(model, cv, x, keys):
        value, gradients = jax.value_and_grad(local_loss, (0, 1))(model, cv, x, keys)
        # Replicated parameters of varying data: JAX sums their cotangents itself.
        return jax.lax.psum(value, "data"), gradients

    inside = jax.jit(
        jax.shard_map(
            local_step,
            mesh=mesh,
            in_specs=(P(), P(), P("data"), P("data")),
            out_specs=(P(), P()),
        )
    )(*args)
    assert_close(inside, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", daily(["reinforce_baseline"], MAIN))
def test_replicated_logits_vary_like_their_samples(name):
    """Nothing but the keys differs between devices."""
    mesh = Mesh(np.array(jax.devices()[:4]), ("data",))
    q = KINDS[ALL[name].kind].mixed
    keys = jax.random.key_data(jax.random.split(jax.random.key(1), 8))

    def objective(z):
        a, (b,) = z["a"][0], z["b"]
        return jnp.sum(jnp.sin(b + 2.0 * a)) - a * b[0, 1]

    def local_loss(q, cv, keys):
        estimate = ALL[name].make(objective, cv, False)
        one = lambda key: estimate(jax.random.wrap_key_data(key), q)  # noqa: E731
        return jnp.sum(jax.vmap(one)(keys))

    def sharded(q, cv, keys):
        def local(q, cv, keys):
            return jax.lax.psum(local_loss(q, cv, keys), "data")

        specs = (P(), P(), P("data"))
        mapped = jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=P())
        return mapped(q, cv, keys)

    args = (q, initial_cv(), keys)
    expected = jax.jit(jax.grad(local_loss, (0, 1)))(*args)
    assert_close(jax.jit(jax.grad(sharded, (0, 1)))(*args), expected, rtol=1e-4)
