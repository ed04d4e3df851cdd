"""The multi-sample bound of a guide with discrete sites, for NumPyro's SVI."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.latents import freeze
from jaxdiscrete.core.numbers import check_count
from jaxdiscrete.interop.numpyro.estimators import ESTIMATOR
from jaxdiscrete.interop.numpyro.loss import Loss, discrete_sites, seed_plates
from jaxdiscrete.interop.numpyro.particles import others_here, over_particles
from jaxdiscrete.interop.numpyro.plates import Frame, element_shape, sum_to
from jaxdiscrete.interop.numpyro.run import Program, Run, run
from jaxdiscrete.multi_sample.others import log_mean_exp, signals_by_others


@dataclasses.dataclass(frozen=True)
class VimcoELBO(Loss):
    r"""The multi-sample bound, with a signal of its own for every particle.

    A loss for ``numpyro.infer.SVI``: the negated
    :math:`E[\log\frac1K\sum_k p(x, z_k)/q(z_k)]`, with the gradient of
    :func:`jaxdiscrete.bounds.vimco` for sites that cannot be reparametrised and the
    pathwise one for the others. Unbiased for the gradient of this bound, which is no
    less than the evidence lower bound and grows with K. In plates that are common to
    all sites, every element has a bound of its own, and the sum is taken, as in
    ``numpyro.infer.RenyiELBO``.

    Args:
      num_particles: ``K >= 2`` samples of the guide. Static. Default: 2.

    Raises:
      ValueError: if ``num_particles`` is less than 2; when called, if the guide has no
        discrete site, a site names an estimator, a plate that is not common to all
        sites is subsampled, or guide and model do not match.

    Example:
      >>> import numpyro, numpyro.distributions as dist, optax
      >>> from numpyro.infer import SVI
      >>> def model():
      ...     z = numpyro.sample("z", dist.Bernoulli(0.5))
      ...     numpyro.sample("x", dist.Normal(2.0 * z, 1.0), obs=1.5)
      >>> def guide():
      ...     logit = numpyro.param("logit", 0.0)
      ...     numpyro.sample("z", dist.Bernoulli(logits=logit))
      >>> rate = optax.linear_schedule(0.1, 0.0, 2000)
      >>> svi = SVI(model, guide, optax.adam(rate), VimcoELBO(num_particles=4))
      >>> result = svi.run(jax.random.key(0), 2000, progress_bar=False)
      >>> print(round(float(result.params["logit"])))  # exact: 1
      1

    References:
      A. Mnih, D. J. Rezende, Variational inference for Monte Carlo objectives, 2016.
    """

    num_particles: int = 2

    def __post_init__(self) -> None:
        check_count(
            "interop.numpyro.VimcoELBO",
            "num_particles",
            self.num_particles,
            2,
            "With one particle use jaxdiscrete.interop.numpyro.GraphELBO.",
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
        """The negated bound; mutable state is refused."""
        key_plates, rng_key = jax.random.split(rng_key)
        model = seed_plates(model, key_plates)
        guide = seed_plates(guide, key_plates)

        def one(key: jax.Array) -> tuple[Any, dict[str, Any]]:
            found = run(key, model, guide, param_map, args, kwargs)
            names = _sites(found)
            common = _common_frames(found)
            scale = _scale(found, common)
            log_weight = jnp.zeros(element_shape(common))
            log_q = log_weight
            for side, sign in ((found.guide, -1.0), (found.model, 1.0)):
                for term in side.values():
                    part = sum_to(term.scaled, term.frames, common)
                    log_weight = log_weight + sign * part
            for name in names:
                term = found.guide[name]
                log_q = log_q + sum_to(term.score, term.frames, common)
            log_weight = log_weight / scale
            signal = others_here(_signals, freeze(log_weight))
            score = jnp.sum(signal * (log_q - freeze(log_q)))
            return (log_weight, score, jnp.asarray(scale)), found.mutable

        (log_weights, scores, scales), _ = over_particles(
            one, rng_key, self.num_particles
        )
        columns = log_weights.reshape(self.num_particles, -1)
        bound = jnp.sum(jax.vmap(log_mean_exp, in_axes=1)(columns))
        loss = -scales[0] * (bound + scores.sum())
        return {"loss": loss, "mutable_state": None}


def _signals(log_weights: jax.Array) -> jax.Array:
    """The signals of all particles, for every element, ``[K, *elements]``."""
    columns = log_weights.reshape(len(log_weights), -1)
    signals = jax.vmap(signals_by_others, in_axes=1, out_axes=1)(columns)
    return signals.reshape(log_weights.shape)


def _sites(found: Run) -> list[str]:
    """The discrete sites, of which none may name an estimator."""
    names = discrete_sites("VimcoELBO", found, "numpyro.infer.RenyiELBO(alpha=0)")
    for name in names:
        if ESTIMATOR in found.guide[name].infer:
            raise ValueError(
                "Expected no estimator at a site of the guide in "
                "jaxdiscrete.interop.numpyro.VimcoELBO, which is the estimator of all, "
                f"got one at {name!r}. Leave it out, or use GraphELBO."
            )
    return names


def _common_frames(found: Run) -> list[Frame]:
    """The plates around every site; the subsampled ones must be among them."""
    terms = [*found.guide.values(), *found.model.values()]
    common = [f for f in terms[0].frames if all(f in t.frames for t in terms)]
    for term in terms:
        for frame in term.frames:
            if frame not in common and found.sizes[frame.name] != frame.size:
                raise ValueError(
                    "Expected subsampled plates that enclose all sites in "
                    "jaxdiscrete.interop.numpyro.VimcoELBO, got the plate "
                    f"{frame.name!r} around {term.name!r} and not around others. The "
                    "logarithm of a mean of weights has no unbiased part."
                )
    return common


def _scale(found: Run, common: list[Frame]) -> float:
    scale = 1.0
    for frame in common:
        scale *= found.sizes[frame.name] / frame.size
    return scale
