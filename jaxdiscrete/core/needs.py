"""The needs of an estimator of the distributions in q, and the errors that say so."""

from __future__ import annotations

from typing import Any, NamedTuple

from jaxdiscrete.core.latents import has_parameters, latents
from jaxdiscrete.core.signatures import takes_key_first
from jaxdiscrete.core.typing import (
    Enumerable,
    Finite,
    PyTree,
    Relaxable,
    Reparametrisable,
    Sampler,
)


class Needs(NamedTuple):
    """The operations that every distribution in q must offer.

    Attributes:
      variables: what such distributions are, in words.
      protocols: whose operations the estimator uses.
      num_classes: how many classes every variable has; None for any number.
      has_parameters: whether the leaves of a distribution must be its parameters.
      remedy: what to do about others.
    """

    variables: str
    protocols: tuple[type, ...]
    num_classes: int | None = None
    has_parameters: bool = False
    remedy: str = "jaxdiscrete.reinforce_loo takes any distribution."


_RELAXATION_REMEDY = (
    "Use jaxdiscrete.reinforce_loo, jaxdiscrete.nvil or jaxdiscrete.reinforce, which "
    "need sample and log_prob only, or implement jaxdiscrete.Relaxable."
)

SAMPLER = Needs("any sampler", ())
SOLVER = Needs("scores and a solver, in place of q", ())
PARAMETERS = Needs(
    "distributions whose parameters it can see",
    (),
    has_parameters=True,
    remedy="Use jaxdiscrete.reinforce_loo or jaxdiscrete.nvil.",
)
REPARAMETRISABLE = Needs(
    "distributions that can be relaxed",
    (Reparametrisable,),
    remedy=_RELAXATION_REMEDY,
)
RELAXABLE = Needs(
    "distributions that can be relaxed", (Relaxable,), remedy=_RELAXATION_REMEDY
)
ENUMERABLE = Needs(
    "distributions that list their states",
    (Enumerable,),
    remedy="Add num_states and enumerate_support, or estimate with a Monte Carlo "
    "estimator.",
)
FINITE = Needs("variables with finitely many classes", (Finite,))
FINITE_RELAXABLE = Needs(
    "variables with finitely many classes that can be relaxed", (Finite, Relaxable)
)
BINARY = Needs("binary variables", (Finite,), num_classes=2)
BINARY_RELAXABLE = Needs("binary variables", (Finite, Relaxable), num_classes=2)


def check_latents(name: str, q: PyTree, needs: Needs = SAMPLER) -> None:
    """Raises unless every leaf of ``q`` is a distribution that ``name`` can use.

    Args:
      name: the estimator, for the message.
      q: pytree of distributions.
      needs: what the estimator needs of them.
    """
    leaves = latents(q)
    if not leaves:
        raise TypeError(
            f"Expected q of jaxdiscrete.{name} to hold at least one distribution, got "
            f"an empty pytree {q!r}."
        )
    for d in leaves:
        _check_sampler(name, d)
        validate = getattr(d, "validate", None)
        if validate is not None:
            validate()
        problem = _problem(d, needs)
        if problem is not None:
            raise TypeError(
                f"Expected {needs.variables} in jaxdiscrete.{name}, got "
                f"{type(d).__name__}, which has {problem}. {needs.remedy}"
            )


def _check_sampler(name: str, d: Any) -> None:
    if not isinstance(d, Sampler):
        raise TypeError(
            f"Expected every leaf of q of jaxdiscrete.{name} to be a distribution "
            f"with sample(key) and log_prob(z), got {type(d).__name__}. Wrap "
            "logits as jaxdiscrete.Bernoulli(logits) or "
            "jaxdiscrete.OneHotCategorical(logits)."
        )
    if not takes_key_first(d.sample):
        raise TypeError(
            f"Expected every distribution in q of jaxdiscrete.{name} to sample by "
            f"sample(key), got {type(d).__name__}, whose sample does not take a "
            "key first. Wrap it with jaxdiscrete.as_sampler."
        )


def _problem(d: Sampler, needs: Needs) -> str | None:
    """The operations that a distribution lacks, in words."""
    if needs.has_parameters and not has_parameters(d):
        return "only sample and log_prob"
    for protocol in needs.protocols:
        if isinstance(d, protocol):
            continue
        if protocol is Finite:
            return "no classes (jaxdiscrete.Finite)"
        if protocol is Enumerable:
            return "no list of its states (jaxdiscrete.Enumerable)"
        if isinstance(d, Reparametrisable):
            return "a relaxation but no mean and no conditional relaxed sample"
        return "no relaxation"
    if needs.num_classes is not None:
        assert isinstance(d, Finite)
        if d.num_classes != needs.num_classes:
            return f"{d.num_classes} classes"
    return None
