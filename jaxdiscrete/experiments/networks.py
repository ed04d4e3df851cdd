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
    "leaky_relu": lambda x, leak: nn.leaky_relu(x, leak),
}
INITIALIZERS: dict[str, nn.initializers.Initializer] = {
    "lecun_normal": nn.initializers.lecun_normal(),
    "glorot_uniform": nn.initializers.glorot_uniform(),
    "variance_scaling": nn.initializers.variance_scaling(
        2.0, "fan_in", "truncated_normal"
    ),
}


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
        return dense(self.features, name="output")(x)


class BaselineNet(nn.Module):
    """A scalar of an estimator's inputs."""

    hidden: tuple[int, ...]

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        return MLP(self.hidden, 1)(inputs)[..., 0]


class Critic(nn.Module):
    """A scalar of latents and inputs that is zero at first."""

    hidden: tuple[int, ...]
    activation: str = "tanh"

    @nn.compact
    def __call__(self, z: jax.Array, inputs: jax.Array) -> jax.Array:
        x = jnp.concatenate([2.0 * jnp.ravel(z) - 1.0, inputs])
        for width in self.hidden:
            x = ACTIVATIONS[self.activation](nn.Dense(width)(x), 0.01)
        # RELAX then starts as REBAR, and departs from it where that helps.
        return nn.Dense(1, kernel_init=nn.initializers.zeros)(x)[0]


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
