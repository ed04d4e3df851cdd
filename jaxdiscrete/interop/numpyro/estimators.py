"""The estimator of a discrete site, as its guide names it."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpyro
from numpyro.primitives import Messenger

from jaxdiscrete.core.typing import PyTree
from jaxdiscrete.graphs.sites import Transform
from jaxdiscrete.score_function.nvil import nvil
from jaxdiscrete.score_function.reinforce import reinforce

#: The key of a site's ``infer`` under which its estimator stands.
ESTIMATOR = "jaxdiscrete_estimator"
#: What the names of parameters of control variates begin with.
CONTROL = "control."


@dataclasses.dataclass(frozen=True)
class SiteEstimator:
    """The estimator of one site, before its plates are taken apart.

    Attributes:
      transform: of the site, or :class:`LeaveOneOut` of one.
      inputs: what its baseline or critic takes, stopped.
      options: its keyword arguments.
    """

    transform: Transform | LeaveOneOut
    inputs: tuple[PyTree, ...]
    options: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class LeaveOneOut:
    """A transform whose credit is centred by that of the other particles."""

    transform: Transform


def estimator(
    transform: Transform | LeaveOneOut, *inputs: PyTree, **options: Any
) -> dict[str, Any]:
    """Names the estimator of a discrete site of a guide, as its ``infer``.

    The transform is one of a single sample, as at a site of
    :func:`jaxdiscrete.program`: it uses f only through its value at the drawn z, and f
    is what the site causes, the negated evidence lower bound downstream of it.

    In plates every element is a decision of its own. An option that is an array, such
    as ``baseline=``, is a scalar, or one scalar per element in the shape of the
    plates; an input has the shape of the plates and then its own. Options that are
    functions see one element.

    Args:
      transform: ``jd.reinforce``, ``jd.nvil``, ``jd.relax``, ...; or
        :func:`leave_one_out`.
      inputs: of a ``baseline=`` or critic that is a function. Stopped.
      options: keyword arguments of the transform. What they are made of, parameters of
        a network of baselines for instance, is trained by the estimator, so that
        values of the model are to be inputs, or stopped.

    Returns:
      A dictionary for ``numpyro.sample(..., infer=...)``.

    Raises:
      TypeError: if the transform is no function.

    Example:
      >>> import numpyro.distributions as dist
      >>> def guide(x):
      ...     b = numpyro.param("control.b", 0.0)
      ...     with numpyro.plate("data", len(x)):
      ...         q = dist.Bernoulli(logits=x)
      ...         numpyro.sample("z", q, infer=estimator(jd.nvil, baseline=b))
      >>> from numpyro.handlers import seed, trace
      >>> sites = trace(seed(guide, jax.random.key(0))).get_trace(jnp.zeros(3))
      >>> print(sorted(sites))
      ['control.b', 'data', 'z']
    """
    if not isinstance(transform, LeaveOneOut) and not callable(transform):
        raise TypeError(
            "Expected the estimator of a site to be a transform such as "
            f"jaxdiscrete.nvil, got {type(transform).__name__}."
        )
    return {ESTIMATOR: SiteEstimator(transform, inputs, options)}


def leave_one_out(transform: Transform = reinforce) -> LeaveOneOut:
    """Centres a site by the mean credit of the other particles.

    With K particles the gradient estimate is that of :func:`jaxdiscrete.reinforce_loo`
    for this site, whatever the others are estimated by. Unbiased. It has no
    parameters, and needs ``num_particles`` of two or more.

    Args:
      transform: of the centred credit. Default: :func:`jaxdiscrete.reinforce`.

    Returns:
      What stands in place of a transform: ``estimator(leave_one_out())``, or
      ``GraphELBO(default=leave_one_out(), num_particles=4)``.

    Example:
      >>> print(type(leave_one_out()).__name__)
      LeaveOneOut

    References:
      W. Kool, H. van Hoof, M. Welling, Buy 4 REINFORCE samples, get a baseline for
      free, 2019.
    """
    return LeaveOneOut(transform)


class centred(Messenger):
    """A guide whose discrete sites are centred in the manner of NVIL.

    Every site that cannot be reparametrised and names no estimator gets
    :func:`jaxdiscrete.nvil` with a baseline of its own: the parameter
    ``control.<site>``, zero at first, one number per element of its plates, also of
    those that are subsampled. SVI finds it among the parameters of the guide, and it
    is fitted by the squared error to the site's credit. Give it an optimiser of its own
    with :func:`two_optimizers`.

    Args:
      fn: the guide.

    Example:
      >>> import numpyro.distributions as dist
      >>> def guide():
      ...     with numpyro.plate("data", 3):
      ...         numpyro.sample("z", dist.Bernoulli(0.5))
      >>> from numpyro.handlers import seed, trace
      >>> sites = trace(seed(centred(guide), jax.random.key(0))).get_trace()
      >>> print(sites["control.z"]["value"])
      [0. 0. 0.]

    References:
      A. Mnih, K. Gregor, Neural variational inference and learning in belief
      networks, 2014.
    """

    def __enter__(self) -> None:
        self.sizes: dict[str, int] = {}
        super().__enter__()

    def process_message(self, msg: dict[str, Any]) -> None:
        """Adds the parameter and the estimator of a discrete site."""
        if not is_score_site(msg) or ESTIMATOR in msg["infer"]:
            return
        frames = msg["cond_indep_stack"]
        shape = [1] * max((-f.dim for f in frames), default=0)
        for frame in frames:
            shape[frame.dim] = self.sizes.get(frame.name, frame.size)
        name = CONTROL + msg["name"]
        baseline = numpyro.param(name, jnp.zeros(shape), event_dim=0)
        msg["infer"] = msg["infer"] | estimator(nvil, baseline=baseline)

    def postprocess_message(self, msg: dict[str, Any]) -> None:
        """Remembers how many elements a plate has before it is subsampled."""
        if msg["type"] == "plate":
            self.sizes[msg["name"]] = msg["args"][0]


def is_score_site(msg: dict[str, Any]) -> bool:
    """Tells whether a site is a latent variable that cannot be reparametrised.

    Args:
      msg: a message or an entry of a trace of NumPyro.
    """
    return (
        msg["type"] == "sample" and not msg["is_observed"] and not msg["fn"].has_rsample
    )
