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
from tests.helpers.parameters import daily
from tests.helpers.trees import assert_close


def loss_of_program(params, key):
    """Sites of four estimators, over the same chain."""

    def model(sample, cost):
        policy, step = chain(params)
        h = START.astype(params["c"].dtype)
        names = ("rebar", "nvil", "relax", "baseline")
        for name, theta in zip(names, params["theta"], strict=True):
            q, inputs = policy(h, theta)
            z = sample(TRANSFORMS[name], q, *inputs)
            h, charged = step(h, z, theta)
            cost(charged)
        # Of no consequence.
        sample(TRANSFORMS["rebar"], jd.Bernoulli(params["w"]), h, params["w"])

    return jd.program(model)(key)


def loss_of_relax(params, key):
    estimate = jd.sequential(TRANSFORMS["relax"], *chain(params))
    return estimate(key, START.astype(params["c"].dtype), params["theta"])


LOSSES = {"program": loss_of_program, "sequential": loss_of_relax}


@pytest.mark.parametrize("what", LOSSES)
@pytest.mark.thorough
def test_gradients_agree_without_compilation(what):
    differentiate = jax.value_and_grad(LOSSES[what])
    key = jax.random.key(7)
    expected = jax.jit(differentiate)(PARAMS, key)
    assert_close(differentiate(PARAMS, key), expected, rtol=1e-4)


@pytest.mark.parametrize("what", daily(["sequential"], LOSSES))
def test_gradients_agree_under_every_transformation(what):
    """A loop, vmap, a scan of rematerialised losses, the gradient of a batch."""
    differentiate = jax.value_and_grad(LOSSES[what])
    keys = jax.random.split(jax.random.key(7), 3)
    compiled = jax.jit(differentiate)
    rows = [compiled(PARAMS, k) for k in keys]
    rows = jax.tree.map(lambda *x: jnp.stack(x), *rows)

    @jax.jit
    def others(params, keys):
        mapped = jax.vmap(differentiate, (None, 0))(params, keys)
        remat = jax.value_and_grad(jax.checkpoint(LOSSES[what]))
        scanned = jax.lax.scan(lambda c, k: (c, remat(c, k)), params, keys)[1]
        mean = lambda p: jax.vmap(LOSSES[what], (None, 0))(p, keys).mean()  # noqa: E731
        return mapped, scanned, jax.value_and_grad(mean)(params)

    mapped, scanned, of_mean = others(PARAMS, keys)
    assert_close(mapped, rows, rtol=1e-4, atol=1e-5)
    assert_close(scanned, rows, rtol=1e-4, atol=1e-5)
    assert_close(of_mean, jax.tree.map(lambda x: x.mean(0), rows), rtol=1e-4, atol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("what", daily(["sequential"], LOSSES))
def test_every_precision(what, x64):
    """float64 and bfloat16 beside float32, in one process and with the same draws."""
    rounded = jax.tree.map(lambda x: x.astype(jnp.bfloat16), PARAMS)
    key = jax.random.key(5)

    def run(dtype):
        params = jax.tree.map(lambda x: x.astype(dtype), rounded)
        value, gradient = jax.jit(jax.value_and_grad(LOSSES[what]))(params, key)
        assert {x.dtype for x in jax.tree.leaves(gradient)} == {jnp.dtype(dtype)}
        assert value.dtype == (jnp.float64 if dtype == jnp.float64 else jnp.float32)
        return value, gradient

    expected = run(jnp.float32)
    assert_close(run(jnp.float64), expected, rtol=1e-4, atol=1e-5)
    assert_close(run(jnp.bfloat16), expected, rtol=0.05, atol=0.1)


@pytest.mark.thorough
def test_rollouts_over_devices_give_the_same_gradients():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:4]), ("rollouts",))
    spec = jax.sharding.PartitionSpec("rollouts")
    placed = jax.sharding.NamedSharding(mesh, spec)

    def run(**options):
        loss = loss_of_chain(TRANSFORMS["relax"], num_samples=8, **options)
        arguments = (PARAMS, jax.random.key(0))
        program = jax.jit(jax.value_and_grad(loss)).lower(*arguments).compile()
        return program(*arguments), program.as_text()

    expected, text = run()
    assert "all-reduce" not in text
    over_devices, text = run(sharding=placed)
    assert_close(over_devices, expected, rtol=1e-4)
    # Not one device doing everything: rollouts meet across devices.
    assert "all-reduce" in text or "all-gather" in text


@pytest.mark.thorough
def test_chunks_of_rollouts_need_the_memory_of_one():
    def bytes_of(chunk_size):
        def loss(weights, key):
            estimate = jd.sequential(
                jd.reinforce,
                lambda h, x: (jd.Bernoulli(h.sum()), ()),
                lambda h, z, x: (jnp.tanh(weights @ h + z), z),
                num_samples=256,
                chunk_size=chunk_size,
            )
            return estimate(key, jnp.zeros(64), jnp.arange(10.0))

        return temporary_bytes(jax.grad(loss), jnp.eye(64), jax.random.key(0))

    assert bytes_of(16) < 0.2 * bytes_of(None)


def test_second_derivatives_are_refused():
    """DiCE has them, but no site knows of the others."""
    loss = loss_of_chain(jd.dice)
    with pytest.raises(TypeError, match="Expected a first derivative"):
        jax.eval_shape(jax.hessian(loss), PARAMS, jax.random.key(0))


def sequence_of_costs(theta, weight, baseline):
    return jd.sequential(
        lambda f: jd.reinforce(f, baseline=baseline),
        lambda h, x: (jd.Bernoulli(x), ()),
        lambda h, z, x: (h, weight * z),
    )(jax.random.key(0), 0.0, theta)


def program_of_costs(theta, weight, baseline):
    def model(sample, cost):
        z = sample(lambda f: jd.reinforce(f, baseline=baseline), jd.Bernoulli(theta))
        cost(weight * z.sum())

    return jd.program(model)(jax.random.key(0))


@pytest.mark.parametrize("loss", [sequence_of_costs, program_of_costs])
def test_mixed_second_derivatives_are_refused(loss):
    """Between decisions, costs and baselines: sites hold one another as constants."""
    where = jnp.zeros(3), jnp.array(2.0), jnp.array(1.0)
    for first, second in ((0, 1), (1, 0), (2, 1), (2, 0)):
        mixed = jax.grad(lambda *x, i=first: jax.grad(loss, i)(*x).sum(), second)
        with pytest.raises(TypeError, match="Expected a first derivative"):
            jax.eval_shape(mixed, *where)
    # In the costs alone a Hessian is exact.
    jax.eval_shape(jax.hessian(loss, 1), *where)


@pytest.mark.thorough
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


SHARDED = {
    "program": loss_of_program,
    "chain": loss_of_relax,
    "masks": loss_of_stopping(TRANSFORMS["baseline"]),
    "rollouts": loss_of_chain(TRANSFORMS["nvil"], num_samples=2),
}


@pytest.mark.parametrize("what", daily(["masks"], SHARDED))
def test_shard_map_gives_the_same_gradients(what):
    loss = SHARDED[what]
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
