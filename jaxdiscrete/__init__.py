"""Gradients through discrete randomness in JAX.

``estimate = transform(f, ...)`` turns any objective f of a discrete sample into
``estimate(key, q, *args) -> scalar``, whose ``jax.grad`` estimates the gradient of
the expectation of f under q.
"""

from jaxdiscrete import bounds, noise, testing
from jaxdiscrete.core.baselines import Baseline, LeastSquares, least_squares
from jaxdiscrete.core.typing import (
    Critic,
    Enumerable,
    Estimator,
    Finite,
    Objective,
    Relaxable,
    Relaxation,
    Reparametrisable,
    Sampler,
)
from jaxdiscrete.coupled.antithetic import arm, disarm
from jaxdiscrete.coupled.arms import arms
from jaxdiscrete.coupled.arsm import arsm
from jaxdiscrete.coupled.carms import carms
from jaxdiscrete.coupled.copulas import Copula, dirichlet_copula, gaussian_copula
from jaxdiscrete.coupled.stick_breaking import disarm_stick_breaking
from jaxdiscrete.diagnostics.gradient_path import GradientPath, gradient_path
from jaxdiscrete.diagnostics.measure import measure
from jaxdiscrete.diagnostics.measurement import (
    EstimatorStatistics,
    Measurement,
    Oracle,
)
from jaxdiscrete.diagnostics.recommend import Recommendation, recommend
from jaxdiscrete.diagnostics.value_and_moments import (
    GradientEstimate,
    value_and_moments,
)
from jaxdiscrete.distributions.bernoulli import Bernoulli
from jaxdiscrete.distributions.categorical import OneHotCategorical
from jaxdiscrete.distributions.subset import Subset
from jaxdiscrete.enumeration.exact import exact
from jaxdiscrete.enumeration.local_expectation import local_expectation, measure_valued
from jaxdiscrete.enumeration.sum_and_sample import partial_enumeration, sum_and_sample
from jaxdiscrete.enumeration.unordered_set import unordered_set
from jaxdiscrete.graphs.credit import Credit, cost_to_go, whole_sequence
from jaxdiscrete.graphs.given import Action, act, given, importance_weight
from jaxdiscrete.graphs.off_policy import (
    Weights,
    per_decision_weights,
    whole_sequence_weights,
)
from jaxdiscrete.graphs.program import program
from jaxdiscrete.graphs.sequential import sequential
from jaxdiscrete.interop.adapters import as_sampler
from jaxdiscrete.interop.black_box import black_box
from jaxdiscrete.multi_sample.double_cv import double_cv
from jaxdiscrete.multi_sample.monte_carlo import monte_carlo
from jaxdiscrete.multi_sample.optimal_baseline import reinforce_optimal_baseline
from jaxdiscrete.multi_sample.policy_gradient import (
    leave_one_out,
    reward_to_go,
    score_function_loss,
)
from jaxdiscrete.multi_sample.reinforce_loo import reinforce_loo
from jaxdiscrete.multi_sample.rodeo import rodeo
from jaxdiscrete.pathwise.gumbel_rao import gumbel_rao
from jaxdiscrete.pathwise.gumbel_softmax import (
    critical_temperature,
    gumbel_softmax,
    mean_field,
    sample_gumbel_softmax,
)
from jaxdiscrete.pathwise.reinmax import half_estimator, reinmax
from jaxdiscrete.pathwise.relaxations import concrete_relaxation, muprop_relaxation
from jaxdiscrete.pathwise.straight_through import (
    decoupled_straight_through,
    gapped_straight_through,
    straight_through,
    straight_through_gumbel_softmax,
)
from jaxdiscrete.score_function.conditional_noise import (
    ConditionalNoise,
    independent_noise,
    tied_noise,
)
from jaxdiscrete.score_function.control_variate import control_variate
from jaxdiscrete.score_function.dice import dice
from jaxdiscrete.score_function.muprop import muprop, muprop_second_order
from jaxdiscrete.score_function.nvil import nvil
from jaxdiscrete.score_function.rebar import rebar
from jaxdiscrete.score_function.reinforce import reinforce
from jaxdiscrete.score_function.relax import relax, relax_rebar
from jaxdiscrete.score_function.running_optimal_baseline import (
    reinforce_running_optimal_baseline,
)
from jaxdiscrete.solvers.imle import imle
from jaxdiscrete.solvers.mechanism import Noise, ScoreEstimator, Solver
from jaxdiscrete.solvers.perturbed_optimizer import perturbed_optimizer

__version__ = "0.1.0"

__all__ = [
    "Action",
    "Baseline",
    "Bernoulli",
    "ConditionalNoise",
    "Copula",
    "Credit",
    "Critic",
    "Enumerable",
    "Estimator",
    "EstimatorStatistics",
    "Finite",
    "GradientEstimate",
    "GradientPath",
    "LeastSquares",
    "Measurement",
    "Noise",
    "Objective",
    "OneHotCategorical",
    "Oracle",
    "Recommendation",
    "Relaxable",
    "Relaxation",
    "Reparametrisable",
    "Sampler",
    "ScoreEstimator",
    "Solver",
    "Subset",
    "Weights",
    "act",
    "arm",
    "arms",
    "arsm",
    "as_sampler",
    "black_box",
    "bounds",
    "carms",
    "concrete_relaxation",
    "control_variate",
    "cost_to_go",
    "critical_temperature",
    "decoupled_straight_through",
    "dice",
    "dirichlet_copula",
    "disarm",
    "disarm_stick_breaking",
    "double_cv",
    "exact",
    "gapped_straight_through",
    "gaussian_copula",
    "given",
    "gradient_path",
    "gumbel_rao",
    "gumbel_softmax",
    "half_estimator",
    "imle",
    "importance_weight",
    "independent_noise",
    "least_squares",
    "leave_one_out",
    "local_expectation",
    "mean_field",
    "measure",
    "measure_valued",
    "monte_carlo",
    "muprop",
    "muprop_relaxation",
    "muprop_second_order",
    "noise",
    "nvil",
    "partial_enumeration",
    "per_decision_weights",
    "perturbed_optimizer",
    "program",
    "rebar",
    "recommend",
    "reinforce",
    "reinforce_loo",
    "reinforce_optimal_baseline",
    "reinforce_running_optimal_baseline",
    "reinmax",
    "relax",
    "relax_rebar",
    "reward_to_go",
    "rodeo",
    "sample_gumbel_softmax",
    "score_function_loss",
    "sequential",
    "straight_through",
    "straight_through_gumbel_softmax",
    "sum_and_sample",
    "testing",
    "tied_noise",
    "unordered_set",
    "value_and_moments",
    "whole_sequence",
    "whole_sequence_weights",
]
