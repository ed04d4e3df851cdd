"""Decisions of different kinds in a Python function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxdiscrete.core.checking import is_checking, is_staged
from jaxdiscrete.core.checks import check_key, check_real_scalar
from jaxdiscrete.core.latents import draw, freeze
from jaxdiscrete.core.marks import estimated, leaving
from jaxdiscrete.core.needs import check_latents
from jaxdiscrete.core.numbers import known_value
from jaxdiscrete.core.precision import at_least_float32
from jaxdiscrete.core.typing import PyTree
from jaxdiscrete.graphs.credit import check_along_time
from jaxdiscrete.graphs.given import Action, decision_of, importance_weight
from jaxdiscrete.graphs.off_policy import (
    Weights,
    credit_per_weight,
    per_decision_weights,
)
from jaxdiscrete.graphs.probe import check_site
from jaxdiscrete.graphs.sites import Transform, site_estimate, with_credit


class _Site(NamedTuple):
    """One call of ``sample``.

    Attributes:
      transform: of the site.
      q: its distributions, live.
      inputs: of its baseline or critic.
      z: what was drawn or given, stopped.
      ratio: of the probabilities of a given decision, stopped; None for one drawn here.
      num_costs_before: how many costs had been charged.
    """

    transform: Transform
    q: PyTree
    inputs: tuple[Any, ...]
    z: PyTree
    ratio: jax.Array | None
    num_costs_before: int


class _Cost(NamedTuple):
    """One call of ``cost``: its value, live, and how many sites came before it."""

    value: jax.Array
    num_sites_before: int


def program(
    model: Callable[..., Any],
    *,
    weights: Weights = per_decision_weights,
    has_aux: bool = False,
) -> Callable[..., Any]:
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

    One call of ``sample`` is one decision, and one call of ``cost`` one charge. Inside
    a scan, a branch or a loop of JAX they would happen once and not as often as it
    runs: that is refused, under :func:`jax.jit` by JAX's own UnexpectedTracerError.
    Inside a vmap of the model's own it is refused as well, unless nothing that is
    batched enters: then the batch shares the decision.

    Args:
      model: ``model(sample, cost, *args)``. A transform is
        one with its options filled in: ``jd.reinforce``, or ``lambda f: jd.relax(f,
        critic, temperature=0.5)``. It uses f only through its value at the drawn z:
        :func:`reinforce`, :func:`nvil`, :func:`dice`, :func:`control_variate`,
        :func:`relax`, and :func:`muprop`, :func:`rebar` and :func:`relax_rebar` with a
        ``relaxed_f``. ``inputs`` are what its baseline or critic takes; it sees them
        stopped. What it closes over it trains: values of the model are inputs.
      weights: of decisions that another policy has drawn, from the ratios of the
        probabilities ``[sites]`` to the weights of what is charged after each site and
        before the next, as in :func:`sequential`. Default: per decision.
      has_aux: whether the estimate returns ``(scalar, aux)``, with what the model
        returns as aux. Default: what it returns is ignored.

    Returns:
      ``estimate(key, *args, actions=None) -> scalar``. With ``actions``, a list of one
      :class:`Action` per call of ``sample``, nothing is drawn but conditional noise:
      decisions and the log-probabilities that they had are those, and the estimate is
      that of the weighted costs. Reverse mode, first order. Batch with
      :func:`jax.vmap`.

    Raises:
      TypeError: when called, if a transform evaluates f elsewhere, q holds no
        distributions, a cost is no real scalar, or ``sample`` or ``cost`` is called
        inside a transformation (a scan, a branch) that is part of the model.
      ValueError: when called, if the model samples nothing, a cost is known and NaN, or
        actions do not fit the decisions in number or shape.
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

    def estimate(
        key: jax.Array, *args: Any, actions: Sequence[Action] | None = None
    ) -> Any:
        check_key("program", key)
        sites: list[_Site] = []
        costs: list[_Cost] = []
        is_running = True
        outside = is_staged()

        def check_running(what: str) -> None:
            if not is_running:
                raise RuntimeError(
                    f"Expected {what} of jaxdiscrete.program to be called while the "
                    "model runs, got a call after it has returned. Call it inside the "
                    "model."
                )
            if is_staged() != outside:
                raise TypeError(_INSIDE)

        def sample(transform: Transform, q: PyTree, *inputs: Any) -> PyTree:
            check_running("sample")
            check_latents("program", q)
            ratio = None
            if actions is None:
                z = draw(jax.random.fold_in(key, 2 * len(sites)), freeze(q))
            else:
                action = _next(actions, len(sites))
                z = decision_of("program", q, action)
                ratio = importance_weight(q, action)
            if not is_checking():
                check_site("program", transform, freeze(q), freeze(inputs), z)
            sites.append(_Site(transform, q, inputs, z, ratio, len(costs)))
            return z

        def cost(value: jax.Array) -> None:
            check_running("cost")
            check_real_scalar("the cost", value)
            _check_not_nan(value)
            # An operation, so that a value from outside of a loop does not leave it
            # unseen.
            value = jnp.asarray(value) * 1.0
            costs.append(_Cost(value, len(sites)))

        aux = model(sample, cost, *args)
        is_running = False
        if not sites:
            raise ValueError(
                "Expected the model of jaxdiscrete.program to sample at least once, "
                "got none. Without a decision the sum of its costs is what you want."
            )
        if actions is not None and len(actions) != len(sites):
            raise ValueError(_number_of_actions(len(actions), f"{len(sites)} times"))
        try:
            total = _total(key, sites, costs, weights)
        except jax.errors.UnexpectedTracerError as error:
            raise TypeError(_INSIDE) from error
        total = estimated(total)
        return (total, leaving(aux)) if has_aux else total

    return estimate


_INSIDE = (
    "Expected sample and cost of jaxdiscrete.program to be called in the model itself, "
    "got a call inside a transformation (jax.lax.scan, jax.lax.cond, jax.jit, "
    "jax.vmap) that is part of it, which traces it once. Use jaxdiscrete.sequential "
    "for a scan, Python's own if and for where the number of decisions is known, and "
    "batch or compile the whole program."
)


def _next(actions: Sequence[Action], index: int) -> Action:
    if not isinstance(actions, list | tuple) or isinstance(actions, Action):
        raise TypeError(
            "Expected actions of jaxdiscrete.program to be a list of one "
            f"jaxdiscrete.Action per decision, got {type(actions).__name__}."
        )
    if index >= len(actions):
        raise ValueError(_number_of_actions(len(actions), "more often"))
    return actions[index]


def _number_of_actions(num: int, sampled: str) -> str:
    return (
        "Expected actions of jaxdiscrete.program to hold one jaxdiscrete.Action per "
        f"decision, in their order, got {num} for a model that samples {sampled}."
    )


def _check_not_nan(value: jax.Array) -> None:
    known = known_value(value)
    if known is not None and np.isnan(known):
        raise ValueError(
            "Expected a cost of jaxdiscrete.program that is a number, got NaN. It "
            "would be the credit of every decision before it."
        )


def _total(
    key: jax.Array, sites: list[_Site], costs: list[_Cost], weights: Weights
) -> jax.Array:
    """The sum of the costs, with the gradient of every site."""
    dtype = at_least_float32(*(c.value.dtype for c in costs))
    values = [c.value.astype(dtype) for c in costs]
    of_sites = _weights_of(sites, weights, dtype)
    if of_sites is not None:
        # What is charged before the first decision depends on none.
        of_costs = [jnp.ones((), dtype), *of_sites]
        values = [
            of_costs[cost.num_sites_before] * value
            for cost, value in zip(costs, values, strict=True)
        ]
    zeros = jnp.zeros((), dtype)
    # What is charged after every site, from the last one on: a running sum, so that
    # the number of additions is linear.
    later = [jnp.zeros((), dtype)]
    for value in reversed(values):
        later.append(later[-1] + freeze(value))
    after = later[::-1]
    for i, site in enumerate(sites):
        credit = after[site.num_costs_before]
        if of_sites is not None:
            credit = credit_per_weight(credit, of_sites[i])
        key_noise = jax.random.fold_in(key, 2 * i + 1)
        zero = site_estimate(
            site.transform, key_noise, site.q, site.inputs, site.z, credit
        ).astype(dtype)
        zeros = zeros + (zero if of_sites is None else of_sites[i] * zero)
    return with_credit(sum(values, jnp.zeros((), dtype)), zeros)


def _weights_of(
    sites: list[_Site], weights: Weights, dtype: DTypeLike
) -> list[jax.Array] | None:
    """The weight of what is charged after every site, stopped; None if all are 1."""
    ratios = [site.ratio for site in sites if site.ratio is not None]
    if not ratios:
        return None
    check_along_time("weights", weights, jnp.stack(ratios))
    return list(freeze(weights(jnp.stack(ratios))).astype(dtype))
