"""The side of every loss that SVI sees, and the sites that its guide must have."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import jax
from numpyro.handlers import seed

from jaxdiscrete.interop.numpyro.credit import score_sites
from jaxdiscrete.interop.numpyro.run import Program, Run
from jaxdiscrete.interop.numpyro.sites import check_supported


class Loss(abc.ABC):
    """A loss for ``numpyro.infer.SVI``, of guides with discrete sites."""

    #: SVI asks whether discrete sites are allowed.
    can_infer_discrete: ClassVar[bool] = True

    def loss(
        self,
        rng_key: jax.Array,
        param_map: dict[str, Any],
        model: Program,
        guide: Program,
        *args: Any,
        **kwargs: Any,
    ) -> jax.Array:
        """The negated bound, as SVI calls it."""
        return self.loss_with_mutable_state(
            rng_key, param_map, model, guide, *args, **kwargs
        )["loss"]

    @abc.abstractmethod
    def loss_with_mutable_state(
        self,
        rng_key: jax.Array,
        param_map: dict[str, Any],
        model: Program,
        guide: Program,
        *args: Any,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The negated bound, and the state of ``numpyro.mutable`` sites."""


def seed_plates(fn: Program, key: jax.Array) -> Program:
    """A program whose subsampled plates are drawn from the key, and nothing else.

    Args:
      fn: a model or guide.
      key: PRNG key; the same for both, so that they see the same elements.

    Returns:
      The program.
    """
    return seed(fn, key, hide_types=["sample", "prng_key", "control_flow"])


def discrete_sites(loss: str, found: Run, without_any: str) -> list[str]:
    """The names of the discrete sites of a guide, in its order.

    Args:
      loss: name of the loss, for messages.
      found: the run of the guide.
      without_any: the loss for guides without discrete sites.

    Returns:
      At least one name.

    Raises:
      ValueError: if there is none, or if one is drawn under a transform.
    """
    names = score_sites(found)
    if not names:
        raise ValueError(
            f"Expected a guide with a discrete site in jaxdiscrete.interop.numpyro."
            f"{loss}, got {', '.join(map(repr, found.guide)) or 'no site at all'}, "
            f"which can be reparametrised. {without_any} is the loss for those."
        )
    for name in names:
        check_supported(found.guide[name])
    return names
