r"""One decision: an estimator whose objective is what happened afterwards.

A score-function estimator of one sample uses f only through its value at that sample.
Given z, and with f replaced by the constant G of everything that was charged after it,
its gradient is :math:`(G - b)\nabla\log q(z) - h`, and its baseline and critic receive
their own training signal. So credit and control variate separate: a program runs once,
its costs give every site its G, and each site is then estimated by itself. Whoever
evaluates f anywhere else would see the same constant there, and silently lose that part
of the gradient: it is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.dataflow import outputs_reached_from
from jaxdiscrete.core.estimator import is_checking
from jaxdiscrete.core.needs import check_latents
from jaxdiscrete.core.sample import GivenSample
from jaxdiscrete.core.typing import Estimator, PyTree

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
      inputs: of its baseline or critic.
      z: what was drawn, stopped.
      credit: what was charged afterwards, stopped.

    Returns:
      A scalar of value zero.
    """
    estimate = transform(lambda z, *args: credit)(GivenSample(z, key), q, *inputs)
    return estimate - jax.lax.stop_gradient(estimate)


def check_site(
    where: str,
    transform: Transform,
    q: PyTree,
    inputs: tuple[Any, ...],
    z: PyTree,
) -> None:
    """Raises unless a transform uses f only through its value at the drawn z.

    The program of the estimate says at which points it evaluates f: there must be one,
    and it must be z, whatever the key, q and the inputs are.

    Args:
      where: the combinator, for the message.
      transform: of the site.
      q: its distributions.
      inputs: of its baseline or critic.
      z: what was drawn.
    """
    check_latents(where, q)
    if not callable(transform):
        raise TypeError(
            f"Expected a transform in jaxdiscrete.{where}, such as "
            f"jaxdiscrete.reinforce, got {type(transform).__name__}."
        )
    points: list[PyTree] = []

    def probe(x: PyTree, *args: Any) -> jax.Array:
        if not is_checking():
            points.append(x)
        return jnp.zeros(())

    def run(z: PyTree, rest: Any) -> list[PyTree]:
        key, q, inputs = rest
        points.clear()
        transform(probe)(GivenSample(z, key), q, *inputs)
        return list(points)

    try:
        program = jax.make_jaxpr(run)(z, (jax.random.key(0), q, inputs)).jaxpr
    except jax.errors.UnexpectedTracerError as error:
        raise TypeError(_message(where, "at several samples")) from error
    if len(points) != 1:
        raise TypeError(_message(where, f"at {len(points)} points"))
    of_rest = program.invars[len(jax.tree.leaves(z)) :]
    if any(any(outputs_reached_from(program, v)) for v in of_rest):
        raise TypeError(_message(where, "at a point that depends on q or on the key"))


def _message(where: str, got: str) -> str:
    return (
        f"Expected a transform in jaxdiscrete.{where} that uses f only through its "
        f"value at the drawn z, got one that evaluates it {got}. f is the constant of "
        "what is charged afterwards there, so that part of the gradient would silently "
        "be zero. Use jaxdiscrete.reinforce, jaxdiscrete.nvil or jaxdiscrete.relax, or "
        "give jaxdiscrete.rebar and jaxdiscrete.muprop a relaxed_f."
    )
