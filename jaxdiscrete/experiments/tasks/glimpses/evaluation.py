"""The worth of glimpses: hard choices, in scenes that had no part in training."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdiscrete.experiments.networks import Params
from jaxdiscrete.experiments.tasks.glimpses.network import GlimpseNetwork
from jaxdiscrete.experiments.tasks.glimpses.scenes import Scene

#: Scenes that are alive at once.
_CHUNK = 500


class Watched(NamedTuple):
    """The course of hard choices in one scene; the glimpses first."""

    z: jax.Array
    """The places, one-hot."""
    log_p: jax.Array
    """Log-probabilities of the labels after every glimpse."""


class Outcome(NamedTuple):
    """The worth of the choices; one entry per scene."""

    cross_entropy: jax.Array
    """That of the label after the last glimpse, in nats."""
    is_right: jax.Array
    """1. where the label is the most likely one."""
    ink: jax.Array
    """The share of the digit's ink that was within a glimpse."""


def watch(
    network: GlimpseNetwork, weights: Params, key: jax.Array, image: jax.Array
) -> Watched:
    """Glimpses of one scene, without a gradient.

    Args:
      network: which looks.
      weights: its parameters.
      key: PRNG key.
      image: of the scene.

    Returns:
      The places, and what the network thought there.
    """
    places = network.places(image)

    def body(state: jax.Array, key: jax.Array) -> tuple[jax.Array, Watched]:
        z = network.choose(weights, state).sample(key)
        state, log_p = network.read(weights, state, places, z)
        return state, Watched(z, log_p)

    keys = jax.random.split(key, network.settings.num_glimpses)
    watched: Watched = jax.lax.scan(body, network.start(), keys)[1]
    return watched


def share_of_ink(network: GlimpseNetwork, z: jax.Array, digit: jax.Array) -> jax.Array:
    """The share of the ink of a digit that was within a glimpse.

    Args:
      network: which knows the places.
      z: places of the glimpses, one-hot.
      digit: on its canvas, without fragments.

    Returns:
      A scalar from 0 to 1.
    """
    was_seen = jnp.tensordot(z.max(axis=0), network.windows, 1) > 0.0
    return jnp.sum(jnp.where(was_seen, digit, 0.0)) / jnp.sum(digit)


def outcomes(
    network: GlimpseNetwork,
    weights: Params,
    key: jax.Array,
    scenes: Scene,
    labels: jax.Array,
) -> Outcome:
    """Scenes with hard choices.

    Args:
      network: which looks.
      weights: its parameters.
      key: PRNG key, split over the scenes.
      scenes: to look at.
      labels: of their digits.

    Returns:
      One entry per scene.
    """

    def one(args: tuple[jax.Array, Scene, jax.Array]) -> Outcome:
        key, scene, label = args
        watched = watch(network, weights, key, scene.image)
        log_p = watched.log_p[-1]
        is_right = (jnp.argmax(log_p) == label).astype(jnp.float32)
        ink = share_of_ink(network, watched.z, scene.digit)
        return Outcome(-log_p[label], is_right, ink)

    keys = jax.random.split(key, len(labels))
    return jax.lax.map(one, (keys, scenes, labels), batch_size=_CHUNK)


@functools.partial(jax.jit, static_argnums=(0, 5))
def mean_outcomes(
    network: GlimpseNetwork,
    weights: Params,
    key: jax.Array,
    scenes: Scene,
    labels: jax.Array,
    num_samples: int,
) -> Outcome:
    """The means of :func:`outcomes` over several sequences of glimpses per scene.

    Compiled once for equal networks and shapes.
    """
    several = jax.lax.map(
        lambda key: outcomes(network, weights, key, scenes, labels),
        jax.random.split(key, num_samples),
    )
    return jax.tree.map(lambda x: x.mean(0), several)
