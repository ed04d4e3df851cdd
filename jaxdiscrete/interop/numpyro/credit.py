"""The credit of discrete sites: which terms of the bound each can still change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from numpyro.ops.provenance import eval_provenance

from jaxdiscrete.core.latents import freeze
from jaxdiscrete.interop.numpyro.plates import element_shape, sum_to
from jaxdiscrete.interop.numpyro.run import Run, Term

#: From the name of a discrete site to the terms that it is credited with, of the
#: guide and of the model; and whether the elements of plates are told apart.
Rerun = Callable[[dict[str, jax.Array]], Run]


class Downstream(NamedTuple):
    """The terms that one discrete site is credited with.

    Attributes:
      guide: names of sites of the guide.
      model: names of sites of the model.
      by_element: whether an element of a plate is credited with that element of other
        sites in the plate alone.
    """

    guide: frozenset[str]
    model: frozenset[str]
    by_element: bool


#: ``credit(run, rerun) -> {site: Downstream}``; ``rerun(values)`` is the run with
#: other values of the discrete sites.
Credit = Callable[[Run, Rerun], dict[str, Downstream]]


def by_provenance(run: Run, rerun: Rerun) -> dict[str, Downstream]:
    """Credits a site with the terms that are computed from it, per plate element.

    The program is followed from every discrete site to the terms of the bound, through
    all that is drawn on the way. In a plate that two sites share, an element of the one
    is credited with the same element of the other: plates are taken at their word.
    Unbiased where elements of a plate do not meet again inside of that plate: where
    they do, by a sum over the plate on which a later site in the same plate depends,
    use :func:`by_program_order`.

    Args:
      run: of guide and model.
      rerun: the run with other values of the discrete sites.

    Returns:
      For every discrete site its :class:`Downstream`.

    References:
      J. Schulman, N. Heess, T. Weber, P. Abbeel, Gradient estimation using stochastic
      computation graphs, 2015.
      D. Wingate, N. Goodman, A. Stuhlmüller, J. Siskind, Nonstandard interpretations of
      probabilistic programs for efficient inference, 2011.
    """
    names = score_sites(run)

    def terms(**values: jax.Array) -> Any:
        other = rerun({name: values[f"site {name}"] for name in names})
        scores = {name: other.guide[name].score for name in names}
        of_bound = [
            {name: term.log_prob for name, term in side.items()}
            for side in (other.guide, other.model)
        ]
        return scores, *of_bound

    values = {f"site {name}": run.guide[name].value for name in names}
    of_scores, of_guide, of_model = eval_provenance(terms, **values)
    ancestors = {
        name: {name, *(n for n in names if f"site {n}" in of_scores[name])}
        for name in names
    }
    for _ in names:  # sites of one loop come before one another
        for name in names:
            ancestors[name] = set().union(*(ancestors[n] for n in ancestors[name]))

    def below(name: str, sources: dict[str, frozenset[str]]) -> frozenset[str]:
        reached = {f"site {other}" for other in names if name in ancestors[other]}
        return frozenset(term for term, deps in sources.items() if deps & reached)

    return {
        name: Downstream(below(name, of_guide), below(name, of_model), True)
        for name in names
    }


def by_program_order(run: Run, rerun: Rerun) -> dict[str, Downstream]:
    """Credits a site with all terms from its place in the guide on.

    Every element of a plate is credited with all elements of all sites, so that plates
    need not hold what they promise. Unbiased, with more variance than
    :func:`by_provenance`.

    Args:
      run: of guide and model.
      rerun: not used.

    Returns:
      For every discrete site its :class:`Downstream`.
    """
    del rerun
    order = list(run.guide)
    return {
        name: Downstream(
            frozenset(order[order.index(name) :]), frozenset(run.model), False
        )
        for name in score_sites(run)
    }


def score_sites(run: Run) -> list[str]:
    """The names of the discrete sites, in the order of the guide.

    Args:
      run: of guide and model.
    """
    return [name for name, term in run.guide.items() if term.is_score]


def costs_of(run: Run, site: Term, downstream: Downstream) -> jax.Array:
    """The negated terms that a site is credited with, of the shape of its plates.

    Args:
      run: of guide and model.
      site: a discrete site of the guide.
      downstream: what it is credited with.

    Returns:
      Stopped.
    """
    kept = site.frames if downstream.by_element else ()
    shape = element_shape(site.frames)
    total = jnp.zeros(shape)
    for side, names, sign in (
        (run.guide, downstream.guide, 1.0),
        (run.model, downstream.model, -1.0),
    ):
        for name in side:
            if name in names:
                term = freeze(side[name].scaled)
                part = sum_to(term, side[name].frames, kept)
                part = jnp.broadcast_to(part, shape) if part.ndim else part
                total = total + sign * part
    return total
