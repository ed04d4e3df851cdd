"""Gradients through discrete randomness in JAX.

``estimate = transform(f, ...)`` turns any objective f of a discrete sample into
``estimate(key, q, *args) -> scalar``, whose ``jax.grad`` estimates the gradient of
the expectation of f under q.
"""

from jaxdiscrete.antithetic import arm, disarm
from jaxdiscrete.control_variate import control_variate
from jaxdiscrete.distributions import Bernoulli, OneHotCategorical
from jaxdiscrete.enumeration import exact
from jaxdiscrete.gradients import GradientEstimate, value_and_grads
from jaxdiscrete.monte_carlo import monte_carlo
from jaxdiscrete.muprop import muprop, muprop_second_order
from jaxdiscrete.nvil import nvil
from jaxdiscrete.optimal_baseline import (
    reinforce_optimal_baseline,
    reinforce_running_optimal_baseline,
)
from jaxdiscrete.rebar import rebar, rebar_independent
from jaxdiscrete.reinforce import reinforce
from jaxdiscrete.reinforce_loo import reinforce_loo
from jaxdiscrete.relax import relax, relax_independent
from jaxdiscrete.relaxations import (
    critical_temperature,
    gumbel_softmax,
    mean_field,
    sample_gumbel_softmax,
    straight_through,
    straight_through_gumbel_softmax,
)
from jaxdiscrete.relaxed_control import concrete, muprop_relaxation
from jaxdiscrete.sampling import (
    exponential_race,
    gumbel_max,
    sample_exponential,
    sample_gumbel,
    sample_logistic,
)
from jaxdiscrete.typing import Estimator, Relaxable, Reparametrisable, Sampler

__version__ = "0.1.0"

__all__ = [
    "Bernoulli",
    "Estimator",
    "GradientEstimate",
    "OneHotCategorical",
    "Relaxable",
    "Reparametrisable",
    "Sampler",
    "arm",
    "concrete",
    "control_variate",
    "critical_temperature",
    "disarm",
    "exact",
    "exponential_race",
    "gumbel_max",
    "gumbel_softmax",
    "mean_field",
    "monte_carlo",
    "muprop",
    "muprop_relaxation",
    "muprop_second_order",
    "nvil",
    "rebar",
    "rebar_independent",
    "reinforce",
    "reinforce_loo",
    "reinforce_optimal_baseline",
    "reinforce_running_optimal_baseline",
    "relax",
    "relax_independent",
    "sample_exponential",
    "sample_gumbel",
    "sample_gumbel_softmax",
    "sample_logistic",
    "straight_through",
    "straight_through_gumbel_softmax",
    "value_and_grads",
]
