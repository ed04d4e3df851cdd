"""The evidence lower bound of a guide with discrete sites, for NumPyro's SVI."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.latents import freeze
from jaxdiscrete.core.numbers import check_count
from jaxdiscrete.graphs.sites import Transform
from jaxdiscrete.interop.numpyro.credit import (
    Credit,
    by_provenance,
    costs_of,
)
from jaxdiscrete.interop.numpyro.estimators import (
    ESTIMATOR,
    LeaveOneOut,
    SiteEstimator,
)
from jaxdiscrete.interop.numpyro.loss import Loss, discrete_sites, seed_plates
from jaxdiscrete.interop.numpyro.particles import (
    less_mean_of_others_here,
    over_particles,
)
from jaxdiscrete.interop.numpyro.run import Program, Run, run
from jaxdiscrete.interop.numpyro.sites import site_zero


@dataclasses.dataclass(frozen=True)
class GraphELBO(Loss):
    r"""The evidence lower bound, with an estimator of its own at every discrete site.

    A loss for ``numpyro.infer.SVI``. The value is the negated bound
    :math:`\log q(z) - \log p(x, z)` at a sample of the guide; its gradient is that of
    :class:`numpyro.infer.TraceGraph_ELBO` with a control variate: sites that can be
    reparametrised are, and every other one is estimated by its own estimator for the
    part of the bound that it can still change. Unbiased, if the estimators are, also
    in plates that are subsampled.

    A site names its estimator by ``infer=estimator(...)``; :func:`centred` gives one to
    every site of a guide that does not.

    Args:
      default: the transform of sites that name none, or :func:`leave_one_out` of one.
        Default: there is none, and a site without one is an error.
      num_particles: how many samples of the guide, of which the mean is taken, in
        parallel. They share the elements of subsampled plates. Static. Default: 1.
      credit: what a site is credited with, :func:`by_provenance` or
        :func:`by_program_order`. Default: by provenance.

    Raises:
      ValueError: if ``num_particles`` is less than 1; when called, if the guide has no
        discrete site, a site has no estimator, a plate has no elements, guide and
        model do not match, or a site is centred by other particles and there are none.
      TypeError: when called, if an estimator draws several samples of its own or
        evaluates f anywhere but at its sample.

    Example:
      >>> import numpyro, numpyro.distributions as dist, optax
      >>> from numpyro.infer import SVI
      >>> from jaxdiscrete.interop.numpyro import centred
      >>> def model():
      ...     z = numpyro.sample("z", dist.Bernoulli(0.5))
      ...     numpyro.sample("x", dist.Normal(2.0 * z, 1.0), obs=1.5)
      >>> def guide():
      ...     logit = numpyro.param("logit", 0.0)
      ...     numpyro.sample("z", dist.Bernoulli(logits=logit))
      >>> svi = SVI(model, centred(guide), optax.adam(0.05), GraphELBO(num_particles=8))
      >>> result = svi.run(jax.random.key(0), 500, progress_bar=False)
      >>> print(round(float(result.params["logit"]), 1))  # exact: 1.0
      1.0

    References:
      J. Schulman, N. Heess, T. Weber, P. Abbeel, Gradient estimation using stochastic
      computation graphs, 2015.
    """

    default: Transform | LeaveOneOut | None = None
    num_particles: int = 1
    credit: Credit = by_provenance

    def __post_init__(self) -> None:
        check_count(
            "interop.numpyro.GraphELBO",
            "num_particles",
            self.num_particles,
            1,
            "Ask for one or more.",
        )

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
        key_plates, rng_key = jax.random.split(rng_key)
        model = seed_plates(model, key_plates)
        guide = seed_plates(guide, key_plates)

        def one(key: jax.Array) -> tuple[jax.Array, dict[str, Any]]:
            key_run, key_noise = jax.random.split(key)

            def run_with(given: dict[str, jax.Array]) -> Run:
                return run(key_run, model, guide, param_map, args, kwargs, given)

            found = run_with({})
            specs = self._specs(found)
            downstream = self.credit(found, run_with)
            loss = bound_terms(found)
            for i, (name, spec) in enumerate(specs.items()):
                site = found.guide[name]
                credit = costs_of(found, site, downstream[name])
                if isinstance(spec.transform, LeaveOneOut):
                    credit = less_mean_of_others_here(credit)
                key_site = jax.random.fold_in(key_noise, i)
                loss = loss + site_zero(key_site, site, spec, credit)
            return loss, found.mutable

        losses, mutable = over_particles(one, rng_key, self.num_particles)
        return {"loss": losses.mean(), "mutable_state": mutable}

    def _specs(self, found: Run) -> dict[str, SiteEstimator]:
        """The estimator of every discrete site, in the order of the guide."""
        names = discrete_sites("GraphELBO", found, "numpyro.infer.Trace_ELBO")
        specs = {}
        for name in names:
            spec = found.guide[name].infer.get(ESTIMATOR)
            if spec is None and self.default is not None:
                spec = SiteEstimator(self.default, (), {})
            if spec is None:
                raise ValueError(
                    f"Expected an estimator at the site {name!r} of the guide, got "
                    "none. Wrap the guide, SVI(model, centred(guide), ...), name one, "
                    "infer=estimator(jaxdiscrete.reinforce), or give the loss a "
                    "default=."
                )
            if isinstance(spec.transform, LeaveOneOut) and self.num_particles < 2:
                raise ValueError(
                    f"Expected two particles or more for the site {name!r} of the "
                    "guide, which is centred by the others, got num_particles="
                    f"{self.num_particles}."
                )
            specs[name] = spec
        return specs


def bound_terms(found: Run) -> jax.Array:
    """The negated bound of one run, live but for the scores of discrete sites."""
    total = jnp.zeros(())
    for term in found.guide.values():
        scaled = freeze(term.scaled) if term.is_score else term.scaled
        total = total + jnp.sum(scaled)
    for term in found.model.values():
        total = total - jnp.sum(term.scaled)
    return total
