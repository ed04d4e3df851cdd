r"""One decision: an estimator whose objective is what happened afterwards.

A score-function estimator of one sample uses f only through its value at that sample.
Given z, and with f replaced by the constant G of everything that was charged after it,
its gradient is :math:`(G - b)\nabla\log q(z) - h`, and its baseline and critic receive
their own training signal. So credit and control variate separate: a program runs once,
its costs give every site its G, and each site is then estimated by itself. Whoever
evaluates f anywhere else would see the same constant there, and silently lose that part
of the gradient: :mod:`jaxdiscrete.graphs.probe` refuses it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.latents import freeze
from jaxdiscrete.core.rules import attach_gradient
from jaxdiscrete.core.sample import given_sample
from jaxdiscrete.core.typing import Estimator, PyTree
from jaxdiscrete.core.varying import match_varying, match_varying_tree

#: ``transform(f) -> estimate``, with its options filled in.
Transform = Callable[..., Estimator]


def site_estimate(
    transform: Transform,
    key: jax.Array,
    q: PyTree,
    inputs: tuple[Any, ...],
    z: PyTree,
    credit: jax.Array,
) -> jax.Array:
    """Zero, with the gradient of one site.

    Args:
      transform: of the site.
      key: for its conditional noise.
      q: its distributions, live.
      inputs: of its baseline or critic, which an estimator of one's own need not stop.
      z: what was drawn, stopped.
      credit: what was charged afterwards, stopped.

    Returns:
      A scalar of value zero.
    """
    # Also where nothing is charged afterwards, and the credit is a constant.
    credit = match_varying_tree(credit, z)
    estimate = transform(lambda z, *args: credit)(
        given_sample(z, key), q, *freeze(inputs)
    )
    # An estimator of higher derivatives knows nothing of the other sites, so a second
    # one would be wrong: the rule refuses it.
    zero = match_varying(jnp.zeros_like(estimate), freeze(estimate))
    return attach_gradient(zero, [estimate], [jnp.ones_like(zero)])


def with_credit(total: jax.Array, zeros: jax.Array) -> jax.Array:
    """The costs of all sites, with the gradients of all of them.

    Every site holds its credit as a constant, and only the costs know what that is made
    of: by the rule a derivative of either gradient in the parameters of the other one
    is refused, where a sum would make it zero.

    Args:
      total: scalar, of the costs, live.
      zeros: scalar, the sum of all :func:`site_estimate`.

    Returns:
      A scalar of the value of ``total``.
    """
    return attach_gradient(total, [zeros], [jnp.ones_like(freeze(zeros))])
