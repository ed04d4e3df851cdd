"""Decisions of different kinds in a Python function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.core.checks import check_real_scalar
from jaxdiscrete.core.estimator import is_checking
from jaxdiscrete.core.latents import draw, freeze
from jaxdiscrete.core.needs import check_latents
from jaxdiscrete.core.precision import in_float32
from jaxdiscrete.core.typing import PyTree
from jaxdiscrete.graphs.probe import check_site
from jaxdiscrete.graphs.sites import Transform, site_estimate


class _Site(NamedTuple):
    """One call of ``sample``, and how many costs had been charged before it."""

    transform: Transform
    q: PyTree
    inputs: tuple[Any, ...]
    z: PyTree
    num_costs_before: int


def program(model: Callable[..., Any], *, has_aux: bool = False) -> Callable[..., Any]:
    r"""An estimate of the expected cost of a program that makes discrete decisions.

    ``model(sample, cost, *args)`` is plain Python: ``z = sample(transform, q,
    *inputs)`` draws a decision, ``cost(value)`` charges a scalar. Any number of sites,
    of different kinds, shapes and estimators, in loops, conditionals and functions. The
    value is the sum of the costs. Its gradient to every q is that of the site's own
    estimator for what is charged **after** it (what came before cannot depend on it);
    to everything else, through carried values, later q's and costs, it is the exact
    pathwise derivative. Unbiased, if the transforms are. One run of the model; tracing
    takes time linear in the sites.

    Costs are minimised: a reward is a negated cost.

    Args:
      model: ``model(sample, cost, *args)``. A transform is
        one with its options filled in: ``jd.reinforce``, or ``lambda f: jd.relax(f,
        critic, temperature=0.5)``. It uses f only through its value at the drawn z:
        :func:`reinforce`, :func:`nvil`, :func:`dice`, :func:`control_variate`,
        :func:`relax`, and :func:`muprop`, :func:`rebar` and :func:`relax_rebar` with a
        ``relaxed_f``. ``inputs`` are what its baseline or critic takes; it sees them
        stopped.
      has_aux: whether the estimate returns ``(scalar, aux)``, with what the model
        returns as aux. Default: what it returns is ignored.

    Returns:
      ``estimate(key, *args) -> scalar``. Reverse mode, first order. Batch with
      :func:`jax.vmap`.

    Raises:
      TypeError: when called, if a transform evaluates f elsewhere, q holds no
        distributions, a cost is no real scalar, or ``sample`` or ``cost`` is called
        inside a transformation (a scan, a vmap) that is part of the model.
      ValueError: when called, if the model samples nothing, or a cost is known and NaN.
      RuntimeError: if ``sample`` or ``cost`` is called after the model has returned.

    Example:
      >>> def model(sample, cost, logits):
      ...     first = sample(jd.reinforce, jd.Bernoulli(logits[0]))
      ...     cost(first)
      ...     second = sample(jd.reinforce, jd.Bernoulli(logits[1] + first))
      ...     cost(3.0 * second)
      >>> estimate = jd.program(model)
      >>> gradient = jax.vmap(jax.grad(estimate, argnums=1), (0, None))
      >>> keys = jax.random.split(jax.random.key(0), 50_000)
      >>> print(np.asarray(gradient(keys, jnp.zeros(2)).mean(0)).round(1))
      [0.4 0.7]

    References:
      J. Schulman, N. Heess, T. Weber, P. Abbeel, Gradient estimation using stochastic
      computation graphs, 2015.
    """

    def estimate(key: jax.Array, *args: Any) -> Any:
        sites: list[_Site] = []
        costs: list[jax.Array] = []
        is_running = True

        def check_running(what: str) -> None:
            if not is_running:
                raise RuntimeError(
                    f"Expected {what} of jaxdiscrete.program to be called while the "
                    "model runs, got a call after it has returned. Call it inside the "
                    "model."
                )

        def sample(transform: Transform, q: PyTree, *inputs: Any) -> PyTree:
            check_running("sample")
            check_latents("program", q)
            key_site = jax.random.fold_in(key, 2 * len(sites))
            z = draw(key_site, freeze(q))
            if not is_checking():
                check_site("program", transform, freeze(q), freeze(inputs), z)
            sites.append(_Site(transform, q, inputs, z, len(costs)))
            return z

        def cost(value: jax.Array) -> None:
            check_running("cost")
            check_real_scalar("the cost", value)
            _check_not_nan(value)
            costs.append(jnp.asarray(value))

        aux = model(sample, cost, *args)
        is_running = False
        if not sites:
            raise ValueError(
                "Expected the model of jaxdiscrete.program to sample at least once, "
                "got none. Without a decision the sum of its costs is what you want."
            )
        try:
            total = _total(key, sites, costs)
        except jax.errors.UnexpectedTracerError as error:
            raise TypeError(
                "Expected sample and cost of jaxdiscrete.program to be called in the "
                "model itself, got a call inside a transformation (jax.lax.scan, "
                "jax.vmap) that is part of it. Use jaxdiscrete.sequential for a scan, "
                "and batch the whole program with jax.vmap."
            ) from error
        return (total, aux) if has_aux else total

    return estimate


def _check_not_nan(value: jax.Array) -> None:
    try:
        known = np.asarray(value)
    except jax.errors.TracerArrayConversionError:
        return
    if np.isnan(known):
        raise ValueError(
            "Expected a cost of jaxdiscrete.program that is a number, got NaN. It "
            "would be the credit of every decision before it."
        )


def _total(key: jax.Array, sites: list[_Site], costs: list[jax.Array]) -> jax.Array:
    """The sum of the costs, with the gradient of every site."""
    values = [in_float32(c) for c in costs]
    total = sum(values, jnp.zeros(()))
    # What is charged after every site, from the last one on: a running sum, so that
    # the number of additions is linear.
    later = [jnp.zeros(())]
    for value in reversed(values):
        later.append(later[-1] + jax.lax.stop_gradient(value))
    after = later[::-1]
    for i, site in enumerate(sites):
        key_noise = jax.random.fold_in(key, 2 * i + 1)
        total = total + site_estimate(
            site.transform,
            key_noise,
            site.q,
            site.inputs,
            site.z,
            after[site.num_costs_before],
        )
    return total
