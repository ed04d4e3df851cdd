"""The cart and the pole of CartPole-v0, as functions of the state.

A state is ``[4]``: position of the cart (metres), its velocity, angle of the pole
(radians from upright), its velocity.

References:
  A. G. Barto, R. S. Sutton, C. W. Anderson, Neuronlike adaptive elements that can solve
  difficult learning control problems, 1983. Constants and limits as in OpenAI Gym.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

STATE_SIZE = 4
#: Push to the left, push to the right.
NUM_ACTIONS = 2

GRAVITY = 9.8
CART_MASS, POLE_MASS = 1.0, 0.1
HALF_LENGTH = 0.5
FORCE = 10.0
SECONDS = 0.02
MAX_POSITION = 2.4
MAX_ANGLE = 12.0 * jnp.pi / 180.0
START = 0.05


def start(key: jax.Array) -> jax.Array:
    """A state near rest, with the pole near upright."""
    return jax.random.uniform(key, (STATE_SIZE,), minval=-START, maxval=START)


def move(state: jax.Array, right: jax.Array) -> jax.Array:
    """The state 20 milliseconds later, by one step of Euler's method.

    Args:
      state: ``[4]``.
      right: whether the cart is pushed to the right, rather than to the left.

    Returns:
      ``[4]``.
    """
    _, speed, angle, spin = state
    mass = CART_MASS + POLE_MASS
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    force = jnp.where(right, FORCE, -FORCE)
    push = (force + POLE_MASS * HALF_LENGTH * spin**2 * sine) / mass
    inertia = HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * cosine**2 / mass)
    twist = (GRAVITY * sine - cosine * push) / inertia
    pull = push - POLE_MASS * HALF_LENGTH * twist * cosine / mass
    return state + SECONDS * jnp.stack([speed, pull, spin, twist])


def is_up(state: jax.Array) -> jax.Array:
    """True while the pole stands and the cart is on its track."""
    return (jnp.abs(state[0]) <= MAX_POSITION) & (jnp.abs(state[2]) <= MAX_ANGLE)
