"""How an estimator is built for the common battery, and what is asked of it."""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp

import jaxdiscrete as jd
from jaxdiscrete.core.facts import ESTIMATORS, Size
from jaxdiscrete.core.needs import SAMPLER

#: One sample of three variables.
ONE_SAMPLE = Size(num_variables=3)


@dataclasses.dataclass(frozen=True)
class Entry:
    """How to build an estimator; what is true of it stands in the package's table.

    Attributes:
      transform: its public name, a key of ESTIMATORS.
      make: ``(f, cv, has_aux) -> estimate``; ``cv`` holds the trained arrays.
      size: what the number of calls of f depends on, for the problems of the battery.
      reduce: what the value is of the values at several samples, or None where it
        weights them by the probabilities of the samples.
      oracle: ``f -> estimate``, whose exact gradient is the expected one.
      num_repeats: how many estimates it averages.
      more_calls: calls of f beside those of the table, for an option of the estimator.
      higher_order: whether its derivatives of every order are estimates, which the
        others refuse to give.
      variant: whether another entry has the same code but for one function, so
        that only what that function changes is tested again.
    """

    transform: str
    make: Callable
    size: Size = ONE_SAMPLE
    reduce: Callable | None = jnp.mean
    oracle: Callable = jd.exact
    num_repeats: int = 1
    more_calls: int = 0
    higher_order: bool = False
    variant: bool = False

    @property
    def facts(self):
        return ESTIMATORS[self.transform]

    @property
    def calls(self):
        """How often f runs in one gradient."""
        return self.num_repeats * self.facts.calls.count(self.size) + self.more_calls

    @property
    def unbiased(self):
        return self.facts.is_unbiased

    @property
    def differentiates(self):
        return self.facts.differentiates

    @property
    def relaxed(self):
        """Whether f sees relaxed values in place of a hard sample."""
        return self.facts.is_relaxed and not self.facts.is_unbiased

    @property
    def bare(self):
        """Whether a sampler with only sample and log_prob is enough."""
        return self.facts.needs is SAMPLER

    @property
    def multi(self):
        """Whether aux gets a leading axis of samples."""
        of_several = self.facts.family in ("multi_sample", "coupled", "bounds")
        of_several |= self.facts.calls.formula.startswith("K")
        return of_several or self.num_repeats > 1

    @property
    def kind(self):
        """The distributions of its problems, a key of KINDS."""
        if self.facts.needs.num_classes == 2:
            return "binary"
        return "categorical" if self.facts.family == "coupled" else "any"
