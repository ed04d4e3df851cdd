"""Advice which estimator suits an objective, and why."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdiscrete.core.cuts import way_of
from jaxdiscrete.core.dataflow import derivative_paths
from jaxdiscrete.core.facts import ESTIMATORS
from jaxdiscrete.core.latents import draw, freeze, latents
from jaxdiscrete.core.needs import check_latents
from jaxdiscrete.core.numbers import check_count
from jaxdiscrete.core.objective import value_of, with_aux
from jaxdiscrete.core.typing import (
    Enumerable,
    Estimator,
    Finite,
    Objective,
    PyTree,
    Relaxable,
)
from jaxdiscrete.coupled.antithetic import disarm
from jaxdiscrete.coupled.arms import arms
from jaxdiscrete.diagnostics.derivative_gap import TOLERANCE, derivative_gap
from jaxdiscrete.enumeration.exact import exact
from jaxdiscrete.multi_sample.double_cv import double_cv
from jaxdiscrete.multi_sample.reinforce_loo import reinforce_loo
from jaxdiscrete.pathwise.gumbel_softmax import gumbel_softmax
from jaxdiscrete.pathwise.reinmax import reinmax
from jaxdiscrete.pathwise.straight_through import straight_through
from jaxdiscrete.score_function.nvil import nvil
from jaxdiscrete.score_function.rebar import rebar

#: Joint states that are enumerated when no budget is given.
FEW_STATES = 256
#: Calls from which samples that are coupled by several beat a pair.
MANY_CALLS = 4
#: Relaxed samples at which f is tried.
_PROBES = 8
_PROBE_TEMPERATURE = 0.5


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """The advice of :func:`jaxdiscrete.recommend`; ``print`` shows it.

    Attributes:
      name: of the transform in ``jaxdiscrete``.
      code: how it is written, with the names of what has to be trained.
      transform: ``f -> estimate`` with untrained starting values, for a first try and
        for :func:`jaxdiscrete.measure`.
      reasons: what about f, q and the budget led to it.
      alternatives: what else suits them, and when.
    """

    name: str
    code: str
    transform: Callable[[Objective], Estimator]
    reasons: tuple[str, ...]
    alternatives: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"Use {self.code}"]
        lines += [f"  because {reason}" for reason in self.reasons]
        lines += [f"  or {alternative}" for alternative in self.alternatives]
        return "\n".join(lines)


class _Facts(NamedTuple):
    """The properties of f and q that decide, and how to say them."""

    kind: str
    is_relaxable: bool
    num_states: int | None
    is_differentiable: bool
    is_finite_between: bool
    is_finite_at_samples: bool
    sentences: tuple[str, str]


def recommend(
    f: Objective,
    q: PyTree,
    *args: Any,
    budget: int | None = None,
    allow_bias: bool = False,
) -> Recommendation:
    r"""Says which estimator suits an objective, and why.

    The rules, of which the first that holds decides:

    1. few joint states: :func:`jaxdiscrete.exact`;
    2. a bias is allowed and f is differentiable: :func:`jaxdiscrete.gumbel_softmax`,
       or :func:`jaxdiscrete.reinmax` where f is not finite between the hard values;
    3. one call of f, whatever f is: :func:`jaxdiscrete.nvil`;
    4. f is differentiable: :func:`jaxdiscrete.rebar` for two or three calls if it is
       finite between the hard values, else :func:`jaxdiscrete.double_cv` if its
       derivative is finite at them;
    5. f is a black box, or jumps between the hard values:
       :func:`jaxdiscrete.disarm` and, for four calls or more,
       :func:`jaxdiscrete.arms` for binary variables,
       :func:`jaxdiscrete.reinforce_loo` for all others.

    It looks at one decision, or several that are drawn at once. Decisions that follow
    one another, of which later ones see what earlier ones did, are a
    :func:`jaxdiscrete.sequential` or a :func:`jaxdiscrete.program`, whatever f is.

    The program of f is read first. If its derivative loses nothing there, it is
    evaluated at a few hard and relaxed samples and between them, where it must add up
    to the differences of f, as in :func:`jaxdiscrete.testing.assert_differentiable`.
    It is advice from the papers, not a measurement: :func:`jaxdiscrete.measure` has
    that for your f.

    Args:
      f: ``f(z, *args) -> scalar`` for one sample ``z``.
      q: pytree of distributions.
      args: further arguments of ``f``.
      budget: calls of f in one gradient that are affordable. Static. Default: two, or
        256 for an exact gradient.
      allow_bias: whether a biased gradient is acceptable. Default: no.

    Returns:
      A :class:`jaxdiscrete.Recommendation`; ``print`` shows it.

    Raises:
      TypeError: if q holds no distributions, or f does not return one real scalar.
      ValueError: if the budget is less than one call.

    Example:
      >>> q = jd.Bernoulli(jnp.zeros(20))
      >>> f = lambda z: jnp.sum(jnp.round(z)) ** 2
      >>> choice = jd.recommend(f, q)
      >>> print(choice)
      Use jaxdiscrete.disarm(f, num_samples=2)
        because q has binary variables with about 2^20 joint states
        because f depends on z through a rounding, whose derivative is zero by
        construction
        because two calls of f are assumed, since no budget was given
        because binary samples can be drawn as opposites, which beats independent ones
        or jaxdiscrete.reinforce_loo(f, num_samples=2), which is simpler
        or jaxdiscrete.relax(f, critic, temperature=...), if a critic can be trained
      >>> estimate = choice.transform(f)
      >>> print(jax.grad(estimate, 1)(jax.random.key(0), q).logits.shape)
      (20,)
    """
    check_latents("recommend", q)
    objective = value_of(with_aux(f, has_aux=False))
    z = jax.eval_shape(lambda k: draw(k, freeze(q)), jax.random.key(0))
    jax.eval_shape(lambda x: objective(x, *args), z)
    if budget is not None:
        check_count("recommend", "budget", budget, 1, "f has to be called.")
    facts = _examine(f, q, args)
    choice = _choose(facts, budget, allow_bias)
    reasons = (*facts.sentences, *choice.reasons)
    return dataclasses.replace(choice, reasons=reasons)


def _examine(f: Objective, q: PyTree, args: tuple[Any, ...]) -> _Facts:
    leaves = latents(q)
    kind = "mixed"
    if all(isinstance(d, Finite) for d in leaves):
        is_binary = [d.num_classes == 2 for d in leaves]
        kind = (
            "binary" if all(is_binary) else "mixed" if any(is_binary) else "categorical"
        )
    if not all(isinstance(d, Relaxable) and isinstance(d, Enumerable) for d in leaves):
        has = "q offers less than jaxdiscrete.Relaxable"
        sentence = "a derivative of f in z could not be used"
        return _Facts(kind, False, None, False, False, False, (has, sentence))
    num_states = math.prod(d.num_states for d in leaves)
    size = (
        f"{num_states:,}"
        if num_states < 10**6
        else f"about 2^{math.log2(num_states):.0f}"
    )
    has = f"q has {kind} variables with {size} joint states"
    found = _derivative_of(f, q, args)
    sentences = (has, found.sentence)
    return _Facts(kind, True, num_states, *found[:3], sentences)


class _Derivative(NamedTuple):
    exists: bool
    is_finite_between: bool
    is_finite_at_samples: bool
    sentence: str


def _no_derivative(because: str) -> _Derivative:
    return _Derivative(False, False, False, because)


def _derivative_of(f: Objective, q: PyTree, args: tuple[Any, ...]) -> _Derivative:
    """Tells whether f has a derivative in z, and where it can be evaluated."""
    z = jax.eval_shape(lambda k: draw(k, q), jax.random.key(0))
    try:
        derivative_paths(f, z, args)
        way = way_of(f, z, args)
    # Whatever a function meets that JAX has no derivative of, callbacks and loops
    # among them, makes it a black box.
    except (TypeError, ValueError, NotImplementedError) as error:
        reason = textwrap.shorten(re.split(r"[.,:]\s|\n", str(error))[0], 60)
        return _no_derivative(f"JAX has no derivative of f ({reason})")
    if way.cut:
        return _no_derivative(
            f"f depends on z through {way.cut}, whose derivative is zero by "
            "construction"
        )
    at_samples = _is_finite_with(straight_through(f), q, args)
    relaxed = gumbel_softmax(f, temperature=_PROBE_TEMPERATURE)
    if not _is_finite_with(relaxed, q, args):
        sentence = "f is differentiable in z, but not finite between the hard values"
        return _Derivative(True, False, at_samples, sentence)
    # The derivative of an estimate is that of its expectation and not of its value.
    if not way.is_credited:
        gap = derivative_gap(f, jax.random.key(0), q, args)
        if gap > TOLERANCE:
            return _no_derivative(
                "f jumps between the hard values, or its derivative is not its own "
                f"there: it misses {gap:.0%} of a difference"
            )
    sentence = "f is differentiable in z, also between the hard values"
    return _Derivative(True, True, at_samples, sentence)


def _is_finite_with(estimate: Estimator, q: PyTree, args: tuple[Any, ...]) -> bool:
    """Tells whether an estimate and its gradient are finite for a few keys."""
    compute = jax.jit(lambda k: jax.value_and_grad(estimate, argnums=1)(k, q, *args))
    keys = jax.random.split(jax.random.key(0), _PROBES)
    found = jax.tree.leaves([compute(k) for k in keys])
    return all(bool(jnp.all(jnp.isfinite(x))) for x in found)


def _choose(facts: _Facts, budget: int | None, allow_bias: bool) -> Recommendation:
    limit = FEW_STATES if budget is None else budget
    if facts.num_states is not None and facts.num_states <= limit:
        reason = f"up to {limit:,} calls of f are affordable: enumerate"
        return _advise(exact, "", {}, reason)
    has_some = facts.is_finite_between or facts.is_finite_at_samples
    if allow_bias and facts.is_differentiable and has_some:
        return _biased(facts)
    if budget == 1:
        return _one_call(facts)
    calls = 2 if budget is None else budget
    affordable = f"{calls:,} calls of f are affordable"
    if budget is None:
        affordable = "two calls of f are assumed, since no budget was given"
    is_relaxed = facts.is_finite_between and calls < MANY_CALLS
    if facts.is_differentiable and (is_relaxed or facts.is_finite_at_samples):
        return _differentiable(facts, calls, affordable)
    return _black_box(facts, calls, affordable)


def _biased(facts: _Facts) -> Recommendation:
    if facts.is_finite_between:
        return _advise(
            gumbel_softmax,
            "temperature=0.5",
            {"temperature": 0.5},
            "a bias is allowed, and then one call at a relaxed sample has the least "
            "variance",
            alternatives=(
                "jaxdiscrete.straight_through(f), if f must see hard samples",
                "jaxdiscrete.rebar(f, ...), which has no bias for one more call",
            ),
        )
    if facts.kind == "mixed":
        reason = "a bias is allowed, and f must see hard samples, of any kind"
        return _advise(straight_through, "", {}, reason)
    return _advise(reinmax, "", {}, "a bias is allowed, and f must see hard samples")


def _one_call(facts: _Facts) -> Recommendation:
    alternatives: tuple[str, ...] = ()
    if facts.is_relaxable:
        alternatives = (
            "jaxdiscrete.relax(f, critic, temperature=...), whose critic of the sample "
            "removes more variance and costs more to train",
        )
    return _advise(
        nvil,
        "baseline=baseline, centre=centre",
        {"centre": 0.0},
        "one call of f leaves no other sample for a baseline: train baseline(*args), a "
        "small network of the inputs, and the scalar centre",
        alternatives=alternatives,
    )


def _differentiable(facts: _Facts, calls: int, affordable: str) -> Recommendation:
    if facts.is_finite_between and calls < MANY_CALLS:
        return _advise(
            rebar,
            "temperature=jnp.exp(log_temperature), scale=scale",
            {"temperature": 0.5, "scale": 1.0},
            affordable,
            "the relaxation of f is a control variate: train log_temperature and "
            "scale, which jax.grad gives the gradient of the variance",
            alternatives=(
                "jaxdiscrete.muprop(f), which has nothing to train and suits an f that "
                "is close to linear",
                "jaxdiscrete.relax_rebar(f, critic, temperature=...), which adds "
                "a critic",
            ),
        )
    alternatives: tuple[str, ...] = ()
    if facts.is_finite_between:
        half = calls // 2
        alternatives = (
            f"jaxdiscrete.monte_carlo(jaxdiscrete.rebar(f, ...), num_repeats={half}), "
            "whose control variate is not linear",
        )
    return _advise(
        double_cv,
        f"num_samples={calls}, scale=scale",
        {"num_samples": calls, "scale": 0.0},
        affordable,
        "each sample's baseline is made of the others, and of their derivatives at "
        "hard samples: train scale, from 0",
        alternatives=alternatives,
    )


def _black_box(facts: _Facts, calls: int, affordable: str) -> Recommendation:
    learned = (
        "jaxdiscrete.relax(f, critic, temperature=...), if a critic can be trained"
    )
    if facts.kind != "binary":
        alternatives: tuple[str, ...] = (learned,) if facts.is_relaxable else ()
        if facts.kind == "categorical" and calls > 2:
            alternatives += (
                f"jaxdiscrete.unordered_set(f, num_samples={calls}), if few states "
                "hold most of the mass",
            )
        return _advise(
            reinforce_loo,
            f"num_samples={calls}",
            {"num_samples": calls},
            affordable,
            "each sample's baseline is the mean of the others, whatever f and q are",
            alternatives=alternatives,
        )
    transform = disarm if calls < MANY_CALLS else arms
    calls -= calls % 2 if transform is disarm else 0
    return _advise(
        transform,
        f"num_samples={calls}",
        {"num_samples": calls},
        affordable,
        "binary samples can be drawn as opposites, which beats independent ones",
        alternatives=(
            f"jaxdiscrete.reinforce_loo(f, num_samples={calls}), which is simpler",
            learned,
        ),
    )


def _advise(
    transform: Callable[..., Estimator],
    arguments: str,
    options: dict[str, Any],
    *reasons: str,
    alternatives: tuple[str, ...] = (),
) -> Recommendation:
    name = ESTIMATORS[transform.__name__].name
    code = f"jaxdiscrete.{name}(f{', ' if arguments else ''}{arguments})"
    with_options = functools.partial(transform, **options)
    return Recommendation(name, code, with_options, reasons, alternatives)
