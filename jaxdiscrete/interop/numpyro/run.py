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

#: A model or guide of NumPyro.
Program = Callable[..., Any]


class Frame(NamedTuple):
    """One plate around a site."""

    name: str
    dim: int
    size: int


class Term(NamedTuple):
    """One sample site of the model or the guide.

    Attributes:
      name: of the site.
      fn: its distribution.
      value: its value, stopped where it cannot be reparametrised.
      log_prob: of its batch shape, masked and not scaled.
      scale: of the plates that are subsampled.
      frames: the plates around it.
      is_score: whether it is a latent variable that cannot be reparametrised.
      infer: what the site says of its inference.
    """

    name: str
    fn: Any
    value: jax.Array
    log_prob: jax.Array
    scale: Any
    frames: tuple[Frame, ...]
    is_score: bool
    infer: dict[str, Any]

    @property
    def scaled(self) -> jax.Array:
        """The term of the bound, of the batch shape."""
        return self.log_prob if self.scale is None else self.scale * self.log_prob


class Run(NamedTuple):
    """The terms of the guide and of the model, in their order, and mutable state."""

    guide: dict[str, Term]
    model: dict[str, Term]
    mutable: dict[str, Any]
    sizes: dict[str, int]


class _Filled(Messenger):
    """Refuses plates without elements, before anything is drawn of them."""

    def process_message(self, msg: dict[str, Any]) -> None:
        if msg["type"] == "plate" and msg["args"][1] == 0:
            raise ValueError(
                f"Expected plates of one element or more, got {msg['name']!r} with "
                "subsample_size=0. Give it a subsample_size of one or more."
            )


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
    guide = substitute(seed(guide, key_guide), data={**params, **(given or {})})
    with _Filled(), _Stopped():
        of_guide = trace(guide).get_trace(*args, **kwargs)
    mutable = _mutable(of_guide)
    replayed = replay(seed(model, key_model), of_guide)
    model = substitute(replayed, data={**params, **mutable})
    with _Filled():
        of_model = trace(model).get_trace(*args, **kwargs)
    check_match(of_model, of_guide)
    sizes = {
        name: site["args"][0]
        for name, site in {**of_model, **of_guide}.items()
        if site["type"] == "plate"
    }
    return Run(_terms(of_guide), _terms(of_model), mutable | _mutable(of_model), sizes)


def _mutable(sites: dict[str, Any]) -> dict[str, Any]:
    return {
        name: site["value"] for name, site in sites.items() if site["type"] == "mutable"
    }


def _terms(sites: dict[str, Any]) -> dict[str, Term]:
    return {n: _term(s) for n, s in sites.items() if s["type"] == "sample"}


def _term(site: dict[str, Any]) -> Term:
    fn, value = site["fn"], site["value"]
    more = (site["intermediates"],) if site["intermediates"] else ()
    frames = tuple(Frame(*frame) for frame in site["cond_indep_stack"])
    return Term(
        site["name"],
        fn,
        value,
        jnp.asarray(fn.log_prob(value, *more)),
        site["scale"],
        frames,
        is_score_site(site),
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
