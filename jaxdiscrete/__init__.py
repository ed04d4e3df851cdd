"""Gradients through discrete randomness in JAX.

``estimate = transform(f, ...)`` turns any objective f of a discrete sample into
``estimate(key, q, *args) -> scalar``, whose ``jax.grad`` estimates the gradient of
the expectation of f under q.
"""

from jaxdiscrete import testing
from jaxdiscrete.adapters import as_sampler
from jaxdiscrete.antithetic import arm, disarm
from jaxdiscrete.arms import arms
from jaxdiscrete.arsm import arsm
from jaxdiscrete.black_box import black_box
from jaxdiscrete.bounds import local_disarm, multi_sample_nvil, vimco
from jaxdiscrete.carms import carms
from jaxdiscrete.control_variate import control_variate
from jaxdiscrete.copulas import dirichlet_copula, gaussian_copula
from jaxdiscrete.dice import dice
from jaxdiscrete.distributions import Bernoulli, OneHotCategorical, Subset
from jaxdiscrete.double_cv import double_cv
from jaxdiscrete.enumeration import exact
from jaxdiscrete.gradient_path import GradientPath, gradient_path
from jaxdiscrete.gradients import GradientEstimate, value_and_grads
from jaxdiscrete.gumbel_rao import gumbel_rao
from jaxdiscrete.local_expectation import local_expectation, measure_valued
from jaxdiscrete.measurement import Measurement
from jaxdiscrete.meter import measure
from jaxdiscrete.monte_carlo import monte_carlo
from jaxdiscrete.muprop import muprop, muprop_second_order
from jaxdiscrete.nvil import nvil
from jaxdiscrete.optimal_baseline import (
    reinforce_optimal_baseline,
    reinforce_running_optimal_baseline,
)
from jaxdiscrete.perturbation import imle, perturbed_optimizer
from jaxdiscrete.rebar import rebar, rebar_independent
from jaxdiscrete.recommendation import Recommendation, recommend
from jaxdiscrete.reinforce import reinforce
from jaxdiscrete.reinforce_loo import reinforce_loo
from jaxdiscrete.reinmax import half_estimator, reinmax
from jaxdiscrete.relax import relax, relax_independent
from jaxdiscrete.relaxations import (
    critical_temperature,
    gumbel_softmax,
    mean_field,
    sample_gumbel_softmax,
)
from jaxdiscrete.relaxed_control import concrete, muprop_relaxation
from jaxdiscrete.rodeo import rodeo
from jaxdiscrete.sampling import (
    exponential_race,
    gumbel_max,
    sample_exponential,
    sample_gumbel,
    sample_logistic,
    sum_of_gamma,
)
from jaxdiscrete.sequences import leave_one_out, reward_to_go, score_function_loss
from jaxdiscrete.stick_breaking import disarm_stick_breaking
from jaxdiscrete.straight_through import (
    decoupled_straight_through,
    gapped_straight_through,
    straight_through,
    straight_through_gumbel_softmax,
)
from jaxdiscrete.sum_and_sample import partial_enumeration, sum_and_sample
from jaxdiscrete.typing import Estimator, Relaxable, Reparametrisable, Sampler
from jaxdiscrete.unordered_set import unordered_set

__version__ = "0.1.0"

__all__ = [
    "Bernoulli",
    "Estimator",
    "GradientEstimate",
    "GradientPath",
    "Measurement",
    "OneHotCategorical",
    "Recommendation",
    "Relaxable",
    "Reparametrisable",
    "Sampler",
    "Subset",
    "arm",
    "arms",
    "arsm",
    "as_sampler",
    "black_box",
    "carms",
    "concrete",
    "control_variate",
    "critical_temperature",
    "decoupled_straight_through",
    "dice",
    "dirichlet_copula",
    "disarm",
    "disarm_stick_breaking",
    "double_cv",
    "exact",
    "exponential_race",
    "gapped_straight_through",
    "gaussian_copula",
    "gradient_path",
    "gumbel_max",
    "gumbel_rao",
    "gumbel_softmax",
    "half_estimator",
    "imle",
    "leave_one_out",
    "local_disarm",
    "local_expectation",
    "mean_field",
    "measure",
    "measure_valued",
    "monte_carlo",
    "multi_sample_nvil",
    "muprop",
    "muprop_relaxation",
    "muprop_second_order",
    "nvil",
    "partial_enumeration",
    "perturbed_optimizer",
    "rebar",
    "rebar_independent",
    "recommend",
    "reinforce",
    "reinforce_loo",
    "reinforce_optimal_baseline",
    "reinforce_running_optimal_baseline",
    "reinmax",
    "relax",
    "relax_independent",
    "reward_to_go",
    "rodeo",
    "sample_exponential",
    "sample_gumbel",
    "sample_gumbel_softmax",
    "sample_logistic",
    "score_function_loss",
    "straight_through",
    "straight_through_gumbel_softmax",
    "sum_and_sample",
    "sum_of_gamma",
    "testing",
    "unordered_set",
    "value_and_grads",
    "vimco",
]
