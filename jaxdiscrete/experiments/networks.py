"""Feed-forward networks, by the names that configurations use."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp

Params = Any

ACTIVATIONS: dict[str, Callable[[jax.Array, float], jax.Array]] = {
    "tanh": lambda x, leak: nn.tanh(x),
    "relu": lambda x, leak: nn.relu(x),
    "selu": lambda x, leak: nn.selu(x),
    "leaky_relu": lambda x, leak: nn.leaky_relu(x, leak),
}
INITIALIZERS: dict[str, nn.initializers.Initializer] = {
    "lecun_normal": nn.initializers.lecun_normal(),
    "glorot_uniform": nn.initializers.glorot_uniform(),
    "variance_scaling": nn.initializers.variance_scaling(
        2.0, "fan_in", "truncated_normal"
    ),
    "orthogonal": nn.initializers.orthogonal(2.0**0.5),
    "zero_output": nn.initializers.lecun_normal(),
}
#: Of the last layer, where it is another one.
OUTPUT_INITIALIZERS: dict[str, nn.initializers.Initializer] = {
    "orthogonal": nn.initializers.orthogonal(1.0),
    # RELAX then starts as REBAR, and departs from it where that helps.
    "zero_output": nn.initializers.zeros,
}


def output_initializer(name: str) -> nn.initializers.Initializer:
    """Initial weights of the last layer of a network."""
    return OUTPUT_INITIALIZERS.get(name, INITIALIZERS[name])


class MLP(nn.Module):
    """Layers with an activation and a linear output; without layers, a linear map."""

    hidden: tuple[int, ...]
    features: int
    activation: str = "tanh"
    leak: float = 0.01
    init_name: str = "lecun_normal"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        dense = functools.partial(nn.Dense, kernel_init=INITIALIZERS[self.init_name])
        for width in self.hidden:
            x = ACTIVATIONS[self.activation](dense(width)(x), self.leak)
        kernel_init = output_initializer(self.init_name)
        return dense(self.features, name="output", kernel_init=kernel_init)(x)


class BaselineNet(nn.Module):
    """A scalar of an estimator's inputs."""

    hidden: tuple[int, ...]
    activation: str = "tanh"
    init_name: str = "lecun_normal"

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        net = MLP(self.hidden, 1, self.activation, init_name=self.init_name)
        return net(inputs)[..., 0]


class Critic(nn.Module):
    """A scalar of latents and inputs."""

    hidden: tuple[int, ...]
    activation: str = "tanh"
    init_name: str = "zero_output"

    @nn.compact
    def __call__(self, z: jax.Array, inputs: jax.Array) -> jax.Array:
        x = jnp.concatenate([2.0 * jnp.ravel(z) - 1.0, inputs])
        for width in self.hidden:
            layer = nn.Dense(width, kernel_init=INITIALIZERS[self.init_name])
            x = ACTIVATIONS[self.activation](layer(x), 0.01)
        return nn.Dense(1, kernel_init=output_initializer(self.init_name))(x)[0]


def apply(module: nn.Module, params: Params, *inputs: jax.Array) -> jax.Array:
    """The single output of a module without state.

    Args:
      module: a flax module.
      params: its parameters.
      inputs: of its call.

    Returns:
      Its output.
    """
    return cast(jax.Array, module.apply({"params": params}, *inputs))
