"""One run of a guide and of the model against it, as terms of the bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.handlers import replay, seed, substitute, trace
from numpyro.primitives import Messenger

from jaxdiscrete.core.latents import freeze
from jaxdiscrete.interop.numpyro.estimators import is_score_site
from jaxdiscrete.interop.numpyro.masks import unmasked
from jaxdiscrete.interop.numpyro.plates import Frame
from jaxdiscrete.interop.numpyro.watch import Watch

#: A model or guide of NumPyro.
Program = Callable[..., Any]


class Term(NamedTuple):
    """One sample site of the model or the guide.

    Attributes:
      name: of the site.
      fn: its distribution.
      value: its value, stopped where it cannot be reparametrised.
      log_prob: of its batch shape, masked and not scaled.
      drawn: what it was drawn from, without masks: they take a term from the bound, and
        the value stays random.
      scale: of the plates that are subsampled.
      frames: the plates around it.
      is_score: whether it is a latent variable that cannot be reparametrised.
      is_scanned: whether it has the values of all steps of a loop.
      infer: what the site says of its inference.
    """

    name: str
    fn: Any
    value: jax.Array
    log_prob: jax.Array
    drawn: Any
    scale: Any
    frames: tuple[Frame, ...]
    is_score: bool
    is_scanned: bool
    infer: dict[str, Any]

    @property
    def scaled(self) -> jax.Array:
        """The term of the bound, of the batch shape."""
        return self.log_prob if self.scale is None else self.scale * self.log_prob

    @property
    def score(self) -> jax.Array:
        """The log-probability of having drawn the value, of the batch shape."""
        return jnp.asarray(self.drawn.log_prob(self.value))


class Run(NamedTuple):
    """The terms of the guide and of the model, in their order, and mutable state."""

    guide: dict[str, Term]
    model: dict[str, Term]
    mutable: dict[str, Any]
    sizes: dict[str, int]


class _Stopped(Messenger):
    """Stops the values of what cannot be reparametrised, and forgets how they arose."""

    def postprocess_message(self, msg: dict[str, Any]) -> None:
        if is_score_site(msg):
            msg["value"] = freeze(msg["value"])
            # The inverse of a transform is to be taken at the stopped value.
            msg["intermediates"] = None


def run(
    key: jax.Array,
    model: Program,
    guide: Program,
    params: dict[str, Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    given: dict[str, jax.Array] | None = None,
) -> Run:
    """Runs the guide, and the model with its values.

    Args:
      key: PRNG key.
      model: of NumPyro.
      guide: of NumPyro.
      params: values of parameters and mutable state, by name.
      args: of both.
      kwargs: of both.
      given: values of sites of the guide that are not drawn. Default: none.
    """
    key_model, key_guide = jax.random.split(key)
    # Mutable state is changed in place, and that of the caller is not ours.
    params = jax.tree.map(lambda x: x, params)
    guide = substitute(seed(guide, key_guide), data={**params, **(given or {})})
    with Watch() as seen, _Stopped():
        of_guide = trace(guide).get_trace(*args, **kwargs)
    mutable = _mutable(of_guide)
    replayed = replay(seed(model, key_model), of_guide)
    model = substitute(replayed, data={**params, **mutable})
    with Watch() as seen_of_model:
        of_model = trace(model).get_trace(*args, **kwargs)
    seen_of_model.check_replayed(of_model)
    check_match(of_model, of_guide)
    return Run(
        _terms(of_guide, seen.scanned),
        _terms(of_model, seen_of_model.scanned),
        mutable | _mutable(of_model),
        seen_of_model.sizes | seen.sizes,
    )


def _mutable(sites: dict[str, Any]) -> dict[str, Any]:
    return {
        name: site["value"] for name, site in sites.items() if site["type"] == "mutable"
    }


def _terms(sites: dict[str, Any], scanned: set[str]) -> dict[str, Term]:
    return {
        name: _term(site, name in scanned)
        for name, site in sites.items()
        if site["type"] == "sample"
    }


def _term(site: dict[str, Any], is_scanned: bool) -> Term:
    fn, value = site["fn"], site["value"]
    more = (site["intermediates"],) if site["intermediates"] else ()
    frames = tuple(Frame(*frame) for frame in site["cond_indep_stack"])
    return Term(
        site["name"],
        fn,
        value,
        jnp.asarray(fn.log_prob(value, *more)),
        unmasked(fn),
        site["scale"],
        frames,
        is_score_site(site),
        is_scanned,
        site["infer"],
    )


def check_match(of_model: dict[str, Any], of_guide: dict[str, Any]) -> None:
    """Raises unless the guide draws what the model needs, in its shapes.

    Args:
      of_model: trace of the model.
      of_guide: trace of the guide.
    """
    for name, site in of_model.items():
        if site["type"] != "sample" or site["is_observed"]:
            continue
        other = of_guide.get(name)
        if other is None:
            raise ValueError(
                f"Expected the guide to sample every latent site of the model, got "
                f"none of the name {name!r}. The model would draw it from its prior, "
                "and nothing would be learned of it."
            )
        expected = np.broadcast_shapes(tuple(site["fn"].shape()))
        if np.shape(other["value"]) != expected:
            raise ValueError(
                f"Expected the guide to sample {name!r} in the model's shape "
                f"{expected}, got {np.shape(other['value'])}. Nothing is broadcast: "
                "use the same plates and the same shapes in both."
            )
    for name, site in of_guide.items():
        if site["type"] != "sample" or site["is_observed"]:
            continue
        if name not in of_model and not site["infer"].get("is_auxiliary"):
            raise ValueError(
                f"Expected every site of the guide in the model, got {name!r} in the "
                "guide alone. Mark it infer={'is_auxiliary': True}, or remove it."
            )
