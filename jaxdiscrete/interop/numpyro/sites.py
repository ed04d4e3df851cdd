"""One discrete site of a guide: its distribution here, and its estimate."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist

from jaxdiscrete.core.latents import freeze, is_array
from jaxdiscrete.core.typing import PyTree
from jaxdiscrete.distributions.bernoulli import Bernoulli
from jaxdiscrete.distributions.categorical import OneHotCategorical
from jaxdiscrete.graphs.probe import check_site
from jaxdiscrete.graphs.sites import Transform, site_estimate
from jaxdiscrete.interop.numpyro.estimators import LeaveOneOut, SiteEstimator
from jaxdiscrete.interop.numpyro.plates import apart, element_shape, per_element
from jaxdiscrete.interop.numpyro.run import Term

#: Of the parameters and the sample of one element: its q.
_Make = Callable[[PyTree, jax.Array], Any]


class _Scored:
    """A sampler that knows no more than its sample and the probability of that."""

    def __init__(self, z: jax.Array, log_prob_of_z: jax.Array) -> None:
        self.z = z
        self.log_prob_of_z = log_prob_of_z

    def sample(self, key: jax.Array) -> jax.Array:
        """The sample."""
        return self.z

    def log_prob(self, z: jax.Array) -> jax.Array:
        """Its log-probability, live."""
        return self.log_prob_of_z


def site_zero(
    key: jax.Array, site: Term, spec: SiteEstimator, credit: jax.Array
) -> jax.Array:
    """Zero, with the gradient of one site.

    Args:
      key: for conditional noise.
      site: of the guide.
      spec: its estimator.
      credit: of the shape of its plates, stopped.

    Returns:
      A scalar of value zero.
    """
    name, shape = site.name, element_shape(site.frames)
    make, parameters, z = _elements(site)
    mapped, unmapped = _options(name, spec.options, shape)
    transform = spec.transform
    if isinstance(transform, LeaveOneOut):
        transform = transform.transform
    inputs = jax.tree.map(
        lambda x: per_element(name, "an input", x, shape), freeze(spec.inputs)
    )

    def build(options: dict[str, Any]) -> Transform:
        # No partial of nothing: the probe tells transforms from estimates by name.
        options = unmapped | options
        return functools.partial(transform, **options) if options else transform

    first = functools.partial(jax.tree.map, lambda x: x[0])
    q = make(freeze(first(parameters)), first(z))
    try:
        check_site(
            "interop.numpyro", build(first(mapped)), q, freeze(first(inputs)), first(z)
        )
    except (TypeError, ValueError) as error:
        raise type(error)(f"At the site {name!r} of the guide: {error}") from error

    def one(
        key: jax.Array,
        parameters: PyTree,
        z: jax.Array,
        inputs: tuple[Any, ...],
        options: dict[str, Any],
        credit: jax.Array,
    ) -> jax.Array:
        q = make(parameters, z)
        return site_estimate(build(options), key, q, inputs, z, credit)

    credit = jnp.reshape(credit, -1)
    keys = jax.random.split(key, credit.size)
    return jnp.sum(jax.vmap(one)(keys, parameters, z, inputs, mapped, credit))


def check_supported(site: Term) -> None:
    """Raises where the score of a site would be no score.

    Args:
      site: a discrete site of the guide.
    """
    fn = site.drawn
    while isinstance(fn, dist.Independent | dist.ExpandedDistribution):
        fn = fn.base_dist
    if isinstance(fn, dist.TransformedDistribution) and fn.base_dist.is_discrete:
        names = ", ".join(type(t).__name__ for t in fn.transforms)
        raise ValueError(
            f"Expected the discrete site {site.name!r} of the guide to be drawn "
            f"without a transform, got {type(fn.base_dist).__name__} under {names}. "
            "The transform of a discrete variable changes no density: sample the "
            "variable itself, and compute from it with numpyro.deterministic."
        )


def _elements(site: Term) -> tuple[_Make, PyTree, jax.Array]:
    """How to make the q of an element; parameters and samples, elements in front."""
    value, ndim = site.value, site.fn.event_dim
    base = site.drawn
    # Later steps of a loop are drawn given earlier ones, so that the whole is neither
    # of these; its score is the sum of theirs.
    while isinstance(base, dist.Independent | dist.ExpandedDistribution):
        base = base.base_dist
    is_one = not site.is_scanned
    if is_one and isinstance(base, dist.BernoulliLogits | dist.BernoulliProbs):
        logits = jnp.broadcast_to(base.logits, jnp.shape(value))
        z = value.astype(logits.dtype)
        return (
            lambda logits, z: Bernoulli(logits),
            apart(logits, site.frames, ndim),
            apart(z, site.frames, ndim),
        )
    if is_one and isinstance(base, dist.CategoricalLogits | dist.CategoricalProbs):
        shape = (*jnp.shape(value), base.logits.shape[-1])
        logits = jnp.broadcast_to(base.logits, shape)
        z = jax.nn.one_hot(value, shape[-1], dtype=logits.dtype)
        return (
            lambda logits, z: OneHotCategorical(logits),
            apart(logits, site.frames, ndim + 1),
            apart(z, site.frames, ndim + 1),
        )
    log_prob = apart(site.score, site.frames, 0)
    log_prob = log_prob.sum(axis=tuple(range(1, log_prob.ndim)))
    return lambda lp, z: _Scored(z, lp), log_prob, apart(value, site.frames, ndim)


def _options(
    name: str, options: dict[str, Any], shape: tuple[int, ...]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options that have one entry per element, and the others."""
    mapped, unmapped = {}, {}
    for option, x in options.items():
        leaves = jax.tree.leaves(x)
        if leaves and all(is_array(leaf) for leaf in leaves):
            if all(jnp.ndim(leaf) == 0 for leaf in leaves):
                unmapped[option] = x
            else:
                mapped[option] = jax.tree.map(
                    lambda leaf, o=option: per_element(name, f"{o}=", leaf, shape), x
                )
        else:
            unmapped[option] = x
    return mapped, unmapped
