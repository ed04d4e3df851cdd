"""Why a gradient is silently zero: which parameters it can reach, and what cuts it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdiscrete.core.checks import check_parameters, check_scalar
from jaxdiscrete.core.dataflow import derivative_paths
from jaxdiscrete.core.linearity import nonlinearity
from jaxdiscrete.core.marks import LEFT_THROUGH_AUX, marks_are_made
from jaxdiscrete.core.programs import called_program, carry_of, follow, follow_loop
from jaxdiscrete.core.typing import PyTree

#: How a value depends on a parameter. PATH: with a derivative. The name of a
#: primitive: beyond that one, which has no derivative. Either with STOPPED before it:
#: beyond a stop_gradient. UNCREDITED: whatever comes after.
Marks = frozenset[str]
PATH = ""
STOPPED = "~"
#: Beyond the aux of an estimator, of something that depends on its hard sample.
UNCREDITED = LEFT_THROUGH_AUX
_NOTHING: Marks = frozenset()

#: Calls with a derivative of their own, the last under JAX_CUSTOM_VJP3.
_CUSTOM = ("custom_jvp_call", "custom_vjp_call", "call_hi_primitive")
#: Floating functions whose derivative is zero.
_STEPS = frozenset({"round", "floor", "ceil", "sign"})
_COMPARISONS = frozenset({"lt", "le", "gt", "ge", "eq", "ne"})
_PRODUCTS = frozenset({"mul", "div", "dot_general"})
_WORDS = {
    PATH: "stop_gradient",
    "convert_element_type": "a cast to integers",
    **dict.fromkeys(_COMPARISONS, "a comparison"),
    UNCREDITED: "a sample that left an estimator through aux",
}
_REMEDY = (
    "A hard sample has no derivative with respect to the parameters of its "
    "distribution. Let an estimator draw it: with f(z) the loss at a sample, "
    "jaxdiscrete.reinforce_loo(f, num_samples=2)(key, q) has the gradient of the "
    "expected loss, and jaxdiscrete.recommend(f, q) says which estimator suits f."
)
_REMEDY_OF_AUX = (
    "What leaves an estimator through aux gets no credit for what it causes "
    "afterwards. Decisions that follow one another are a jaxdiscrete.sequential (one "
    "per step of a scan) or a jaxdiscrete.program."
)


@dataclasses.dataclass(frozen=True)
class LeafPath:
    """The ways of a gradient to one leaf of the parameters.

    Attributes:
      name: of the leaf, for instance ``params['logits']``.
      is_used: whether the loss depends on it.
      has_path: whether a derivative can reach it.
      cuts: what has no derivative on the other ways in which the loss depends on it.
    """

    name: str
    is_used: bool
    has_path: bool
    cuts: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Tells whether the gradient is neither zero by construction nor partial."""
        return self.has_path and not self.cuts

    def __str__(self) -> str:
        through = ", ".join(self.cuts)
        if not self.is_used:
            return f"{self.name}: zero, the loss does not depend on it."
        if not self.has_path:
            return (
                f"{self.name}: zero by construction. The loss depends on it only "
                f"through {through or 'what it calls'}, which has no derivative."
            )
        if self.cuts:
            return (
                f"{self.name}: partial. The loss depends on it also through {through}, "
                "which has no derivative: that part of the gradient is missing."
            )
        return f"{self.name}: reached."


@dataclasses.dataclass(frozen=True)
class GradientPath:
    """The findings of :func:`jaxdiscrete.gradient_path`; ``print`` puts them in words.

    Attributes:
      leaves: one entry per leaf of the parameters.
      nonlinearity: an operation that is not linear, through which the loss depends on
        the value of an estimate; empty where there is none.
    """

    leaves: tuple[LeafPath, ...]
    nonlinearity: str = ""

    @property
    def ok(self) -> bool:
        """Tells whether ``jax.grad`` has the mean that it seems to have.

        It reaches every leaf, on every way, and the loss is linear in its estimates.
        """
        return all(leaf.ok for leaf in self.leaves) and not self.nonlinearity

    def __str__(self) -> str:
        lines = [str(leaf) for leaf in self.leaves]
        cuts = {cut for leaf in self.leaves for cut in leaf.cuts}
        if _WORDS[UNCREDITED] in cuts:
            lines.append(_REMEDY_OF_AUX)
        elif cuts - {_WORDS[PATH]}:
            lines.append(_REMEDY)
        if self.nonlinearity:
            lines.append(remedy_of_nonlinearity(self.nonlinearity))
        return "\n".join(lines)


def remedy_of_nonlinearity(name: str) -> str:
    """Says what to do where a loss depends on an estimate through a function.

    Args:
      name: of the function, which is not linear.
    """
    return (
        f"The loss depends on the value of an estimate through {name}, which is not "
        "linear: its mean is not that of the expectation. Put the function inside f if "
        "its expectation is meant; for the logarithm of a mean of weights take "
        "jaxdiscrete.bounds.vimco; for a function of an expectation, jaxdiscrete.exact."
    )


def gradient_path(loss: Callable[..., Any], params: PyTree, *args: Any) -> GradientPath:
    """Says in words whether ``jax.grad(loss)`` reaches the parameters, and why not.

    JAX has no error for a derivative that is zero by construction: a loss of a hard
    sample has a gradient of zeros, and an ELBO of one lacks the part through the
    sample. This reads it off the programs of loss and gradient, without computing.
    A loss made by an estimator of this library is reached, and partially where a
    sample that left one through aux comes back into the loss: nothing credits it for
    that (:func:`jaxdiscrete.sequential` and :func:`jaxdiscrete.program` do). Whoever
    stops one way and keeps another is taken to mean it, as in a straight-through
    gradient.

    A function of an estimate that is not linear, such as its logarithm or a clipped
    value, is reported: its mean is not that of the expectation. A product of two
    estimates passes, and is right where their keys are independent.

    It looks at whole leaves, and trusts the custom derivatives that it meets. Two
    things it cannot read: jumps of f, which
    :func:`jaxdiscrete.testing.assert_differentiable` finds, and a leaf that is trained
    by the loss and by a control variate at once, which
    :func:`jaxdiscrete.testing.assert_control_variates_are_separate` finds.

    Args:
      loss: ``loss(params, *args) -> scalar``, what ``jax.grad`` was called with.
      params: pytree of floating arrays: parameters, distributions, or samples.
      args: further arguments of the loss, such as a PRNG key.

    Returns:
      A :class:`jaxdiscrete.GradientPath`, with ``.ok``.

    Raises:
      TypeError, ValueError: if the loss is not one real scalar, or if params hold
        anything but floating arrays.

    Example:
      >>> f = lambda z: jnp.sum((z - 0.45) ** 2)
      >>> def naive(params, key):
      ...     return f(jd.Bernoulli(params["logits"]).sample(key))
      >>> params, key = {"logits": jnp.zeros(2)}, jax.random.key(0)
      >>> print(jax.grad(naive)(params, key)["logits"])
      [0. 0.]
      >>> print(str(jd.gradient_path(naive, params, key)).splitlines()[0])
      params['logits']: zero by construction. The loss depends on it only through a
      comparison, which has no derivative.
      >>> def estimated(params, key):
      ...     return jd.reinforce(f)(key, jd.Bernoulli(params["logits"]))
      >>> print(jd.gradient_path(estimated, params, key))
      params['logits']: reached.
    """
    check_parameters("gradient_path", "params", params)
    check_scalar("loss", loss, params, args)
    flat, treedef = jax.tree_util.tree_flatten_with_path(params)
    leaves = [jnp.asarray(leaf) for _, leaf in flat]

    def scalar(*leaves: jax.Array) -> jax.Array:
        return jnp.asarray(loss(jax.tree.unflatten(treedef, leaves), *args))

    with marks_are_made():
        jaxpr = jax.make_jaxpr(scalar)(*leaves).jaxpr
    paths = derivative_paths(lambda leaves: scalar(*leaves), leaves, ())
    together = _Follower()
    together.follow(jaxpr, [frozenset({PATH})] * len(leaves))
    found = []
    for i, (is_used, has_path) in enumerate(paths):
        start = [frozenset({PATH}) if i == j else _NOTHING for j in range(len(leaves))]
        follower = _Follower(together.selections)
        cuts = follower.follow(jaxpr, start)[0] - {PATH}
        if has_path:
            cuts = frozenset(cut for cut in cuts if not cut.startswith(STOPPED))
        name = "params" + jax.tree_util.keystr(flat[i][0])
        words = {cut.removeprefix(STOPPED) for cut in cuts}
        in_words = sorted({_WORDS.get(word, word) for word in words})
        found.append(LeafPath(name, is_used, has_path, tuple(in_words)))
    return GradientPath(tuple(found), nonlinearity(jaxpr))


class _Follower:
    """Follows marks through a program.

    Attributes:
      selections: the equations that look up entries of something with a derivative. A
        lookup there is a selection, as of a branch, whatever chose the place.
    """

    def __init__(self, selections: Iterable[int] = ()) -> None:
        self.selections = set(selections)

    def follow(self, jaxpr: Any, inputs: list[Marks]) -> list[Marks]:
        """The marks of the outputs of a program, from those of its inputs."""
        return follow(jaxpr, inputs, _NOTHING, self._apply)

    def _apply(self, eqn: Any, inputs: list[Marks]) -> list[Marks]:
        """The marks of what one equation computes."""
        name = eqn.primitive.name
        together = _NOTHING.union(*inputs)
        if eqn.params.get("name") == LEFT_THROUGH_AUX:
            is_hard = together - {PATH, STOPPED}
            return [together | {UNCREDITED} if is_hard else together]
        if name.startswith(_CUSTOM) and PATH in together:
            # The rule, and not the program under it, decides what is differentiated:
            # this is how an estimator accounts for its hard samples. Not for those of
            # others, which its value depends on.
            uncredited = self._uncredited(eqn, inputs)
            return [frozenset({PATH}) | marks for marks in uncredited]
        if name in ("select_n", "cond"):
            # max(x, 0) compares too, but is as continuous as its cases.
            cases = _NOTHING.union(*inputs[1:])
            together = (cases or together) | (inputs[0] & {UNCREDITED})
        if name in ("gather", "dynamic_slice"):
            if PATH in inputs[0]:
                self.selections.add(id(eqn))
            if id(eqn) in self.selections:
                together = inputs[0] | (together & {UNCREDITED})
        if name in _PRODUCTS:
            together = _NOTHING.union(*_factors(inputs))
        inner = called_program(eqn)
        if inner is not None:
            first, count = carry_of(eqn) if name == "scan" else (0, 0)
            return follow_loop(
                lambda marks: self.follow(inner, marks),
                inputs,
                first,
                count,
                frozenset.union,
            )[1]
        return [_after(name, v.aval, together) for v in eqn.outvars]

    def _uncredited(self, eqn: Any, inputs: list[Marks]) -> list[Marks]:
        """Finds the results of a rule that depend on what left through aux."""
        only = [marks & {UNCREDITED} for marks in inputs]
        inner = called_program(eqn)
        if inner is None:
            return [_NOTHING.union(*only)] * len(eqn.outvars)
        return self.follow(inner, only)


def _factors(inputs: list[Marks]) -> list[Marks]:
    """The marks of the factors of a product.

    A hard factor chooses among multiples of one with a derivative: this is how a
    log-probability depends on its sample.
    """
    is_live = [PATH in marks for marks in inputs]
    if not any(is_live):
        return inputs
    return [
        marks if yes else marks & {UNCREDITED}
        for marks, yes in zip(inputs, is_live, strict=True)
    ]


def _after(name: str, aval: Any, marks: Marks) -> Marks:
    """The marks of a result, where those of all operands are given."""
    if name == "stop_gradient":
        return frozenset(
            mark if mark == UNCREDITED else STOPPED + mark.removeprefix(STOPPED)
            for mark in marks
        )
    # A sampler may stop its parameters before it compares: it still compares them.
    continuous = marks & {PATH, STOPPED}
    is_floating = jnp.issubdtype(aval.dtype, jnp.inexact)
    if continuous and (name in _STEPS or not is_floating):
        return (marks - continuous) | {name}
    return marks
