"""Recurrent policies of flax and equinox, against the same network written by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from flax import linen, nnx

import jaxdiscrete as jd
from tests.helpers.trees import assert_close

HIDDEN, NUM_STEPS = 3, 3
SIZES = {"cell": (HIDDEN + 1, HIDDEN), "head": (HIDDEN, 1), "critic": (HIDDEN + 1, 1)}


def initial_weights():
    keys = jax.random.split(jax.random.key(0), len(SIZES))
    return {
        name: {
            "kernel": jax.random.normal(key, size),
            "bias": 0.1 * jnp.arange(1.0, size[1] + 1.0),
        }
        for key, (name, size) in zip(keys, SIZES.items(), strict=True)
    }


class Network:
    """What the networks have in common: layers ``cell``, ``head`` and ``critic``."""

    def decide(self, h):
        return self.head(h)[0]

    def move(self, h, z):
        return jnp.tanh(self.cell(jnp.append(h, z)))

    def judge(self, z, h):
        return self.critic(jnp.append(h, z))[0]


class ByHand(Network):
    def __init__(self, weights):
        self.weights = weights

    def __getattr__(self, name):
        layer = self.weights[name]
        return lambda x: x @ layer["kernel"] + layer["bias"]


class InLinen(linen.Module, Network):
    def setup(self):
        self.cell, self.head = linen.Dense(HIDDEN), linen.Dense(1)
        self.critic = linen.Dense(1)


class Bound(Network):
    """A linen module with its variables."""

    def __init__(self, variables):
        self.variables = variables

    def decide(self, h):
        return InLinen().apply(self.variables, h, method="decide")

    def move(self, h, z):
        return InLinen().apply(self.variables, h, z, method="move")

    def judge(self, z, h):
        return InLinen().apply(self.variables, z, h, method="judge")


class InNnx(nnx.Module, Network):
    def __init__(self, rngs):
        self.cell = nnx.Linear(HIDDEN + 1, HIDDEN, rngs=rngs)
        self.head = nnx.Linear(HIDDEN, 1, rngs=rngs)
        self.critic = nnx.Linear(HIDDEN + 1, 1, rngs=rngs)


class InEquinox(eqx.Module, Network):
    cell: eqx.nn.Linear
    head: eqx.nn.Linear
    critic: eqx.nn.Linear


def in_linen(weights):
    return {"params": weights}, Bound, lambda gradient: gradient["params"]


def in_nnx(weights):
    graph, state = nnx.split(InNnx(nnx.Rngs(0)))
    pure = nnx.to_pure_dict(state)
    nnx.replace_by_pure_dict(state, {name: weights[name] for name in pure})
    return state, lambda state: nnx.merge(graph, state), nnx.to_pure_dict


def in_equinox(weights):
    def layer(name):
        made = eqx.nn.Linear(*SIZES[name], key=jax.random.key(0))
        values = (weights[name]["kernel"].T, weights[name]["bias"])
        return eqx.tree_at(lambda x: (x.weight, x.bias), made, values)

    def weights_of(gradient):
        return {
            name: {"kernel": x.weight.mT, "bias": x.bias}
            for name, x in vars(gradient).items()
        }

    return InEquinox(**{name: layer(name) for name in SIZES}), lambda x: x, weights_of


LIBRARIES = {"linen": in_linen, "nnx": in_nnx, "equinox": in_equinox}


def gradients(params, network_of, key):
    """Of a sequence by three estimators, and of a program that mixes them."""

    def losses(params):
        network = network_of(params)
        transforms = (
            lambda f: jd.reinforce(f, baseline=lambda h: network.judge(0.5, h)),
            lambda f: jd.nvil(f, baseline=lambda h: network.judge(0.5, h)),
            lambda f: jd.relax(f, network.judge, temperature=0.7),
        )

        def policy(h, x):
            return jd.Bernoulli(network.decide(h)), (h,)

        def step(h, z, x):
            return network.move(h, z), (z - x) ** 2 * (1.0 + h.sum())

        def model(sample, cost):
            h = start
            for transform, x in zip(transforms, xs, strict=True):
                z = sample(transform, *flat(policy(h, x)))
                h, charged = step(h, z, x)
                cost(charged)

        start, xs = jnp.zeros(HIDDEN), jnp.array([0.2, 0.9, 0.4])
        of_sequence = [
            jd.sequential(t, policy, step)(key, start, xs) for t in transforms
        ]
        return jnp.stack([*of_sequence, jd.program(model)(key)])

    return jax.jit(jax.jacrev(losses))(params)


def flat(out):
    q, inputs = out
    return q, *inputs


@pytest.fixture(scope="module")
def expected():
    return gradients(initial_weights(), ByHand, jax.random.key(3))


@pytest.mark.thorough
@pytest.mark.parametrize("name", LIBRARIES)
def test_a_recurrent_policy_is_the_same_network_by_hand(name, expected):
    """REINFORCE, NVIL and RELAX, and the baselines and critics that they train."""
    params, network_of, weights_of = LIBRARIES[name](initial_weights())
    found = weights_of(gradients(params, network_of, jax.random.key(3)))
    assert_close(found, expected, rtol=1e-4)
    for layer in SIZES:
        assert jnp.all(jnp.abs(expected[layer]["bias"]).max(axis=1) > 1e-3), layer
