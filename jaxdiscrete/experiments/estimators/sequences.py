"""What only decisions that follow one another tell apart."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax

import jaxdiscrete as jd
from jaxdiscrete.experiments.estimators.base import ControlVariate, Estimator
from jaxdiscrete.experiments.estimators.score_function import Reinforce

#: Estimators that draw relaxed decisions in a scan, which is differentiated.
PATHWISE = ("gumbel_softmax", "straight_through_gumbel_softmax")


@dataclasses.dataclass(frozen=True)
class WholeSequence(Reinforce, name="reinforce_whole_sequence", of="reinforce"):
    """REINFORCE that credits a decision with all costs, also those before it.

    Of a single decision it is REINFORCE.
    """

    credit: ClassVar[Any] = staticmethod(jd.whole_sequence)


@dataclasses.dataclass(frozen=True)
class Untrained(Estimator, name="untrained", of="reinforce"):
    """Samples of q, which gets no gradient and stays as it was at first.

    f has the gradient that it has at the sample, so that all else is trained.
    """

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        def estimate(key: jax.Array, q: Any, *args: Any) -> jax.Array:
            value: jax.Array = jd.reinforce(f)(key, jax.lax.stop_gradient(q), *args)
            return value

        return estimate


Untrained.facts = dataclasses.replace(Untrained.facts, is_unbiased=False)
