"""Gradients of a Gaussian's mean and scale, where nothing is discrete.

q is a Gaussian with independent coordinates in :func:`jaxdiscrete.as_sampler`, whose
``distribution`` has ``loc`` and ``scale``, as that of distrax and of numpyro has.

References:
  S. Mohamed, M. Rosca, M. Figurnov, A. Mnih, Monte Carlo gradient estimation in machine
  learning, 2020, sections 5.4, 6.2 and 7.4.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

import jaxdiscrete as jd
from jaxdiscrete.experiments.estimators.base import ControlVariate, Estimator
from jaxdiscrete.experiments.settings.fields import bounded


@dataclasses.dataclass(frozen=True)
class Pathwise(Estimator, name="pathwise", of="gumbel_softmax"):
    """The mean plus the scale times noise, and f differentiated through both."""

    is_of_gaussian: ClassVar[bool] = True

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        def estimate(key: jax.Array, q: Any, *args: Any) -> jax.Array:
            p = q.distribution
            noise = jax.random.normal(key, p.loc.shape)
            value: jax.Array = f(p.loc + p.scale * noise, *args)
            return value

        return estimate


Pathwise.facts = dataclasses.replace(
    Pathwise.facts,
    is_unbiased=True,
    is_relaxed=False,
    reference="Kingma & Welling 2014; Mohamed et al. 2020",
)


@dataclasses.dataclass(frozen=True)
class MeasureValuedGaussian(
    Estimator, name="measure_valued_gaussian", of="measure_valued"
):
    """Differences of f between two samples, one coordinate at a time.

    For a mean both are a Rayleigh variable off it, up and down; for a scale they are a
    two-sided Maxwell variable and a normal one.
    """

    is_coupled: bool = True
    """Whether both samples of a difference are made of the same noise."""

    is_of_gaussian: ClassVar[bool] = True

    def calls_of_f(self, num_variables: int, num_classes: int) -> int:
        """Four per coordinate, and the one whose value is returned."""
        return self.num_repeats * (1 + 4 * num_variables)

    def transform(self, f: Any, cv: ControlVariate, step: jax.Array) -> jd.Estimator:
        def estimate(key: jax.Array, q: Any, *args: Any) -> jax.Array:
            loc, scale = q.distribution.loc, q.distribution.scale
            at = jax.lax.stop_gradient((loc, scale))
            w, of_loc, of_scale = self._gradient(key, lambda w: f(w, *args), *at)
            moved = (loc - at[0]) * of_loc + (scale - at[1]) * of_scale
            value: jax.Array = f(w, *args) + moved.sum()
            return value

        return estimate

    def _gradient(
        self, key: jax.Array, f: Any, loc: jax.Array, scale: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The sample around which it was taken, and estimates for mean and scale."""
        keys, shape = jax.random.split(key, 6), loc.shape
        w = loc + scale * jax.random.normal(keys[0], shape)

        def costs(changed: jax.Array) -> jax.Array:
            each = jax.vmap(lambda i: f(w.at[i].set(changed[i])))
            return jax.lax.stop_gradient(each(jnp.arange(w.size)))

        def rayleigh(key: jax.Array) -> jax.Array:
            return jnp.sqrt(2.0 * jax.random.exponential(key, shape))

        up = rayleigh(keys[1])
        down = up if self.is_coupled else rayleigh(keys[2])
        of_loc = costs(loc + scale * up) - costs(loc - scale * down)
        three = jax.random.normal(keys[3], (3, *shape))
        maxwell = jnp.sign(three[0]) * jnp.linalg.norm(three, axis=0)
        if self.is_coupled:
            # A uniform part of a two-sided Maxwell variable is a normal one.
            normal = jax.random.uniform(keys[4], shape) * maxwell
        else:
            normal = jax.random.normal(keys[5], shape)
        of_scale = costs(loc + scale * maxwell) - costs(loc + scale * normal)
        return w, of_loc / (scale * jnp.sqrt(2.0 * jnp.pi)), of_scale / scale


@dataclasses.dataclass(frozen=True)
class DeltaMethod(Estimator, name="delta_method", of="control_variate"):
    """REINFORCE with the expansion of f at the mean, of second order, as control.

    Its mean under a Gaussian is known. How much of it leaves the least variance is
    estimated with samples of their own, so that nothing is biased.
    """

    num_pilots: int = bounded(25, at_least=2)
    """Samples by which the scale of the control is chosen, in every gradient."""

    is_of_gaussian: ClassVar[bool] = True

    def calls_of_f(self, num_variables: int, num_classes: int) -> int:
        """One per repeat, one per sample that chooses the scale, one at the mean."""
        return self.num_repeats + self.num_pilots + 1

    def build(
        self, f: Any, cv: ControlVariate, step: jax.Array, relaxed_f: Any = None
    ) -> jd.Estimator:
        """The estimator, all repeats of which have the same expansion and scale."""
        del cv, step, relaxed_f

        def estimate(key: jax.Array, q: Any, *args: Any) -> jax.Array:
            key_pilots, key = jax.random.split(key)
            at = jax.lax.stop_gradient(q)
            control, mean = expansion(lambda w: f(w, *args), at.distribution.loc)
            scale = self._scale(key_pilots, lambda w: f(w, *args), control, at)
            one = jd.control_variate(
                f, lambda w, *args: control(w), lambda q, *args: mean(q), scale=scale
            )
            value: jax.Array = self.repeated(one)(key, q, *args)
            return value

        return estimate

    def _scale(self, key: jax.Array, f: Any, control: Any, q: Any) -> jax.Array:
        """The regression of the score's gradient on that of the control."""

        def pair(key: jax.Array) -> tuple[jax.Array, jax.Array]:
            w = q.sample(key)
            score, _ = ravel_pytree(jax.grad(lambda q: jnp.sum(q.log_prob(w)))(q))
            return f(w) * score, control(w) * score

        pairs = jax.vmap(pair)(jax.random.split(key, self.num_pilots))
        plain, control_part = (rows - rows.mean(0, keepdims=True) for rows in pairs)
        square = jnp.sum(jnp.square(control_part))
        floor = jnp.finfo(square.dtype).tiny
        scale = jnp.sum(plain * control_part) / jnp.maximum(square, floor)
        return jax.lax.stop_gradient(scale)


def expansion(f: Any, centre: jax.Array) -> tuple[Any, Any]:
    """The expansion of a function to second order, and its mean under a Gaussian.

    Args:
      f: ``f(w) -> scalar``, twice differentiable at the centre.
      centre: ``[n]``, where it is expanded.

    Returns:
      ``control(w) -> scalar``, and ``mean(q) -> scalar``, its expectation under a
      Gaussian in :func:`jaxdiscrete.as_sampler`.
    """
    value, slope = jax.value_and_grad(f)(centre)
    curvature = jax.hessian(f)(centre)
    value, slope, curvature = jax.lax.stop_gradient((value, slope, curvature))

    def control(w: jax.Array) -> jax.Array:
        change = w - centre
        return value + slope @ change + 0.5 * change @ curvature @ change

    def mean(q: Any) -> jax.Array:
        spread = 0.5 * jnp.sum(jnp.diag(curvature) * jnp.square(q.distribution.scale))
        return control(q.distribution.loc) + spread

    return control, mean
