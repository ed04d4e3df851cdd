"""Decisions that follow one another under the transformations of JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiscrete as jd
from tests.graphs.problems import (
    PARAMS,
    START,
    TRANSFORMS,
    chain,
    loss_of_chain,
    loss_of_stopping,
)
from tests.helpers.memory import temporary_bytes
from tests.helpers.trees import assert_close


def test_second_derivatives_are_refused():
    """DiCE has them, but no site knows of the others."""
    loss = loss_of_chain(jd.dice)
    with pytest.raises(TypeError, match="Expected a first derivative"):
        jax.hessian(loss)(PARAMS, jax.random.key(0))


@pytest.mark.parametrize("name", ["baseline", "relax"])
def test_checkpointed_steps_give_the_same_gradients(name):
    def loss(params, key, wrap):
        policy, step = chain(params)
        estimate = jd.sequential(TRANSFORMS[name], wrap(policy), wrap(step))
        return estimate(key, START, params["theta"])

    plain, checkpointed = (
        jax.jit(jax.value_and_grad(lambda p, k, w=wrap: loss(p, k, w)))(
            PARAMS, jax.random.key(2)
        )
        for wrap in (lambda f: f, jax.checkpoint)
    )
    assert_close(plain, checkpointed)
    whole = jax.checkpoint(lambda p: loss(p, jax.random.key(2), lambda f: f))
    whole = jax.jit(jax.grad(whole))
    assert_close(whole(PARAMS), plain[1], rtol=1e-4)


@pytest.mark.parametrize("name", ["baseline", "relax"])
@pytest.mark.parametrize("is_masked", [False, True])
def test_shard_map_gives_the_same_gradients(name, is_masked):
    make = loss_of_stopping if is_masked else loss_of_chain
    loss = make(TRANSFORMS[name])
    keys = jax.random.key_data(jax.random.split(jax.random.key(1), 8))

    def local(params, keys):
        one = lambda k: loss(params, jax.random.wrap_key_data(k))  # noqa: E731
        return jnp.sum(jax.vmap(one)(keys))

    mesh = jax.sharding.Mesh(np.array(jax.devices()[:4]), ("data",))
    spec = jax.sharding.PartitionSpec
    sharded = jax.shard_map(
        lambda p, k: jax.lax.psum(local(p, k), "data"),
        mesh=mesh,
        in_specs=(spec(), spec("data")),
        out_specs=spec(),
    )
    expected = jax.jit(jax.value_and_grad(local))(PARAMS, keys)
    assert_close(jax.jit(jax.value_and_grad(sharded))(PARAMS, keys), expected, 1e-4)


def test_traces_do_not_depend_on_the_number_of_steps():
    def traces(num_steps):
        calls = {"policy": 0, "step": 0}
        policy, step = chain(PARAMS)

        def counted_policy(h, x):
            calls["policy"] += 1
            return policy(h, x)

        def counted_step(h, z, x):
            calls["step"] += 1
            return step(h, z, x)

        estimate = jd.sequential(TRANSFORMS["relax"], counted_policy, counted_step)
        jax.make_jaxpr(jax.grad(estimate, argnums=2))(
            jax.random.key(0), START, jnp.zeros(num_steps)
        )
        return calls

    assert traces(3) == traces(300) == {"policy": 2, "step": 2}


def test_memory_is_linear_in_the_number_of_steps():
    def bytes_of(num_steps):
        policy, step = chain(PARAMS)
        estimate = jd.sequential(TRANSFORMS["relax"], policy, step)
        batched = jax.vmap(jax.grad(estimate, argnums=2), (0, None, None))
        keys = jax.random.split(jax.random.key(0), 100)
        return temporary_bytes(batched, keys, START, jnp.zeros(num_steps))

    one, ten = bytes_of(50), bytes_of(500)
    assert 5.0 * one < ten < 10.5 * one
