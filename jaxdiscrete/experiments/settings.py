"""The settings of every experiment, as frozen dataclasses with bounds."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from tyro.conf import Fixed

T = TypeVar("T")


def bounded(
    default: T, *, at_least: float | None = None, above: float | None = None
) -> T:
    """A field whose value, or each of whose values, has a lower bound.

    Args:
      default: the value where nothing is given.
      at_least: smallest allowed value. Default: none.
      above: number that every allowed value exceeds. Default: none.

    Returns:
      The dataclass field; the bound is checked by ``config.check``.
    """
    metadata = {"at_least": at_least, "above": above}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Data:
    """Handwritten digits, binarised once and split once."""

    threshold: float = bounded(7.5, at_least=0)
    """A pixel, 0 to 16, above this is one."""
    num_test: int = bounded(297, at_least=1)
    """How many shuffled examples are held out."""
    split_seed: int = bounded(0, at_least=0)
    """Seed of the split, apart from the seed of the run."""


@dataclasses.dataclass(frozen=True)
class Model:
    """A variational autoencoder with Bernoulli latents."""

    num_latents: int = bounded(32, at_least=1)
    """Binary latents."""
    hidden: tuple[int, ...] = bounded((), at_least=1)
    """Widths of tanh layers in encoder and decoder; none is a linear model."""


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """Adam for the model and, apart from it, for the control variate."""

    learning_rate: float = bounded(1e-3, above=0)
    """Of encoder, decoder and prior."""
    control_variate_learning_rate: float = bounded(1e-3, above=0)
    """Of baselines, scales, temperatures and critics."""
    moving_average_rate: float = bounded(0.1, above=0)
    """One minus the decay of what an estimator keeps as a moving average."""


@dataclasses.dataclass(frozen=True)
class Training:
    """How long to train, and how often to report and save."""

    num_epochs: int = bounded(200, at_least=1)
    """Passes over the training set; a multiple of epochs_per_block."""
    batch_size: int = bounded(50, at_least=1)
    """Examples a step; what does not fill a batch waits for another epoch."""
    epochs_per_block: int = bounded(5, at_least=1)
    """Epochs compiled into one call, after which metrics come back."""
    blocks_per_checkpoint: int = bounded(10, at_least=1)
    """Blocks between two checkpoints; the last block always has one."""
    num_importance_samples: int = bounded(100, at_least=1)
    """Samples a test example in the final bound."""


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A value that moves exponentially from start to end, and stays there."""

    start: float = bounded(1.0, above=0)
    """Value at step 0."""
    end: float = bounded(1.0, above=0)
    """Value from step num_steps on."""
    num_steps: int = bounded(1, at_least=1)
    """Steps from start to end."""


@dataclasses.dataclass(frozen=True)
class Estimator:
    """A gradient estimator without settings."""

    name: Fixed[str] = "reinforce"
    """Which estimator."""


@dataclasses.dataclass(frozen=True)
class ConstantBaseline(Estimator):
    """REINFORCE with a trained constant."""

    baseline: float = 0.0
    """Initial baseline, in nats of the reconstruction cost."""


@dataclasses.dataclass(frozen=True)
class NetworkBaseline(Estimator):
    """NVIL."""

    hidden: int = bounded(100, at_least=1)
    """Width of the baseline's tanh layer."""


@dataclasses.dataclass(frozen=True)
class MultiSample(Estimator):
    """Several samples, each with a baseline made of the others."""

    num_samples: int = bounded(2, at_least=2)
    """Samples an example."""


@dataclasses.dataclass(frozen=True)
class MuProp(Estimator):
    """MuProp with trained scales."""

    value_scale: float = 1.0
    """Initial scale of the value at the mean."""
    linear_scale: float = 1.0
    """Initial scale of the linear term."""


@dataclasses.dataclass(frozen=True)
class Rebar(Estimator):
    """REBAR with trained temperature and scale."""

    temperature: float = bounded(0.5, above=0)
    """Initial temperature; its logarithm is trained."""
    scale: float = 1.0
    """Initial scale of the control variate."""


@dataclasses.dataclass(frozen=True)
class Relax(Rebar):
    """RELAX: REBAR plus a trained critic."""

    critic_hidden: int = bounded(64, at_least=1)
    """Width of the critic's tanh layer."""


@dataclasses.dataclass(frozen=True)
class Relaxation(Estimator):
    """A continuous relaxation at a scheduled temperature."""

    temperature: Schedule = Schedule()
    """A number, or a table of start, end and num_steps."""


@dataclasses.dataclass(frozen=True)
class Config:
    """One training run."""

    seed: int = bounded(0, at_least=0)
    """Seed of initial parameters, batches and samples."""
    data: Data = Data()
    model: Model = Model()
    optimizer: Optimizer = Optimizer()
    training: Training = Training()
    estimator: Estimator = Estimator()


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """One comparison of estimators with an exact gradient."""

    seed: int = bounded(0, at_least=0)
    """Seed of the samples."""
    logits: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    """Unnormalised log-probabilities of the classes 0, 1, 2, ..."""
    temperatures: tuple[float, ...] = bounded((0.1, 0.5, 1.0, 2.0), above=0)
    """Temperatures, to which the critical one is added."""
    num_samples: int = bounded(100_000, at_least=2)
    """Gradient estimates for each estimator and temperature."""
