"""The settings of every experiment, as frozen dataclasses with bounds."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal, TypeVar

from tyro.conf import Fixed
from tyro.constructors import PrimitiveConstructorSpec

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
class Schedule:
    """A number, or an optax schedule of the training step and its arguments."""

    name: str = "constant_schedule"
    """The optax function."""
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    """What it is called with."""


def constant(value: Any) -> Schedule:
    """A schedule that stays where it starts.

    Args:
      value: the number.

    Returns:
      The schedule.
    """
    return Schedule("constant_schedule", {"value": value})


def scheduled(
    default: float, *, at_least: float | None = None, above: float | None = None
) -> Any:
    """A field for a schedule whose values have a lower bound.

    Args:
      default: the constant where nothing is given.
      at_least: smallest allowed value. Default: none.
      above: number that every allowed value exceeds. Default: none.

    Returns:
      The dataclass field, as from :func:`bounded`.
    """
    metadata = {"at_least": at_least, "above": above}
    return dataclasses.field(
        default_factory=lambda: constant(default), metadata=metadata
    )


def _show(schedule: Schedule) -> list[str]:
    if schedule.name == "constant_schedule":
        return [str(schedule.arguments.get("value"))]
    return [schedule.name]


#: On the command line a schedule is a number; a file can describe any other.
Scheduled = Annotated[
    Schedule,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="NUMBER",
        instance_from_str=lambda args: constant(float(args[0])),
        is_instance=lambda value: isinstance(value, Schedule),
        str_from_instance=_show,
    ),
]


@dataclasses.dataclass(frozen=True)
class Data:
    """Which images, and how they became binary."""

    name: str = "digits"
    """A data set; jaxdiscrete data list shows them."""
    binarization: str = ""
    """One of the set's ways to make pixels binary. Default: its first."""


@dataclasses.dataclass(frozen=True)
class Model:
    """A chain of layers of discrete latents between networks."""

    task: Literal["generative", "structured", "semi_supervised"] = "generative"
    """Images from a prior, lower halves of images from upper halves, or images and a
    class that few of them tell."""
    num_latents: tuple[int, ...] = bounded((32,), at_least=1)
    """Latent variables a stochastic layer, that next to the image first."""
    num_classes: int = bounded(2, at_least=2)
    """Values a latent takes: 2 for Bernoulli, more for one-hot categorical ones."""
    hidden: tuple[int, ...] = bounded((), at_least=1)
    """Widths of deterministic layers between stochastic ones; none is linear."""
    activation: Literal["tanh", "relu", "leaky_relu"] = "tanh"
    """Of the deterministic layers."""
    leak: float = bounded(0.01, at_least=0)
    """Slope of leaky_relu below zero."""
    init: Literal["lecun_normal", "glorot_uniform", "variance_scaling"] = "lecun_normal"
    """Initial weights; variance_scaling is truncated normal, fan in, factor 2."""
    prior: Literal["learned", "uniform"] = "learned"
    """Of the top layer, in the generative task."""
    mean_clip: float = bounded(0.01, above=0)
    """Pixel means are kept this far from 0 and 1 in the initial output bias."""
    divergence: Literal["sampled", "analytic", "concrete"] = "sampled"
    """How log q - log p of the latents enters: at the sample, in closed form where
    there is one, or as densities of the relaxed sample."""
    prior_temperature: float = bounded(0.5, above=0)
    """Of the prior's relaxed density, for the concrete divergence."""
    num_samples: int = bounded(1, at_least=1)
    """Samples in the training bound; more than one with pathwise estimators only."""
    channels: tuple[int, ...] = bounded((32, 64, 64), at_least=1)
    """Of the convolutions, in the semi-supervised task."""
    num_gaussian: int = bounded(32, at_least=1)
    """Gaussian latents beside the class, in the semi-supervised task."""
    num_labelled: int = bounded(100, at_least=10)
    """Training images with a label, likewise."""
    label_weight: float = bounded(0.1, at_least=0)
    """Weight of log q of the given class, likewise."""


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """The model's optimiser, and apart from it that of the control variate."""

    name: Literal["adam", "sgd"] = "adam"
    """Adam, or gradient descent with momentum."""
    learning_rate: Scheduled = scheduled(1e-3, at_least=0)
    """Of encoder, decoder and prior."""
    momentum: float = bounded(0.9, at_least=0)
    """Decay of the mean of gradients; Adam's beta 1."""
    square_decay: float = bounded(0.999, at_least=0)
    """Adam's beta 2."""
    weight_decay: float = bounded(0.0, at_least=0)
    """Added to the model's gradient as this times the weight."""
    control_variate_factor: float = bounded(1.0, above=0)
    """Learning rate of control variates, as a multiple of the model's."""
    moving_average_rate: float = bounded(0.1, above=0)
    """One minus the decay of what an estimator keeps as a moving average."""


@dataclasses.dataclass(frozen=True)
class Training:
    """How long to train, and how often to report and save."""

    num_steps: int = bounded(10_000, at_least=1)
    """Gradient steps; a multiple of steps_per_block."""
    batch_size: int = bounded(50, at_least=1)
    """Examples a step; what does not fill a batch waits for another epoch."""
    steps_per_block: int = bounded(500, at_least=1)
    """Steps compiled into one call, after which metrics come back."""
    blocks_per_checkpoint: int = bounded(10, at_least=1)
    """Blocks between two checkpoints; the last block always has one."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What the metrics are averaged over."""

    num_samples: int = bounded(100, at_least=1)
    """Samples an example in the final bounds."""
    num_examples: int = bounded(1000, at_least=1)
    """Randomly chosen training and validation examples after every block."""
    num_test_examples: int = bounded(100_000, at_least=1)
    """Randomly chosen test examples in the final bounds; at most all."""


@dataclasses.dataclass(frozen=True)
class Estimator:
    """A gradient estimator without settings."""

    name: Fixed[str] = "reinforce"
    """Which estimator."""


@dataclasses.dataclass(frozen=True)
class ConstantBaseline(Estimator):
    """REINFORCE with a trained constant."""

    baseline: float = 0.0
    """Initial baseline, in nats of the cost."""


@dataclasses.dataclass(frozen=True)
class Nvil(Estimator):
    """NVIL and its three parts."""

    baseline_hidden: tuple[int, ...] = bounded((100,), at_least=1)
    """Widths of the tanh layers of the input-dependent baseline."""
    input_baseline: bool = True
    """Whether there is an input-dependent baseline."""
    centre: bool = True
    """Whether there is a moving-average baseline."""
    normalize: bool = True
    """Whether the signal is divided by its running standard deviation."""


@dataclasses.dataclass(frozen=True)
class MultiSample(Estimator):
    """Several samples, each with a baseline made of the others."""

    num_samples: int = bounded(2, at_least=2)
    """Samples an example."""


@dataclasses.dataclass(frozen=True)
class Antithetic(Estimator):
    """Antithetic pairs of samples."""

    num_pairs: int = bounded(1, at_least=1)
    """Pairs an example, two samples each."""


@dataclasses.dataclass(frozen=True)
class DoubleCv(MultiSample):
    """Leave-one-out with first-order control variates."""

    scale: float = 0.0
    """Initial scale of the control variates, trained by the variance."""


@dataclasses.dataclass(frozen=True)
class WithBaseline(Estimator):
    """An estimator with an input-dependent baseline beside its control variate."""

    baseline_hidden: tuple[int, ...] = bounded((), at_least=1)
    """Widths of the baseline's tanh layers, trained by the variance; none for no
    baseline."""


@dataclasses.dataclass(frozen=True)
class SimpleMuProp(WithBaseline):
    """MuProp without its linear term."""

    value_scale: float = 1.0
    """Initial scale of the value at the mean."""


@dataclasses.dataclass(frozen=True)
class MuProp(SimpleMuProp):
    """MuProp with trained scales."""

    linear_scale: float = 1.0
    """Initial scale of the linear term."""


@dataclasses.dataclass(frozen=True)
class Rebar(WithBaseline):
    """REBAR with trained scale, and a trained temperature."""

    temperature: float = bounded(0.5, above=0)
    """Initial temperature; its logarithm is trained."""
    scale: float = 1.0
    """Initial scale of the control variate."""
    train_temperature: bool = True
    """Whether the temperature is trained."""
    relaxation: Literal["concrete", "muprop"] = "concrete"
    """Of the control variate; muprop is the one of REBAR's experiments."""


@dataclasses.dataclass(frozen=True)
class Relax(Estimator):
    """RELAX: REBAR plus a trained critic."""

    temperature: float = bounded(0.5, above=0)
    """Initial temperature; its logarithm is trained."""
    scale: float = 1.0
    """Initial scale of the relaxed objective."""
    critic_hidden: tuple[int, ...] = bounded((64,), at_least=1)
    """Widths of the critic's layers."""
    critic_activation: Literal["tanh", "relu", "leaky_relu"] = "tanh"
    """Of the critic's layers."""


@dataclasses.dataclass(frozen=True)
class Relaxation(Estimator):
    """A continuous relaxation at a scheduled temperature."""

    temperature: Scheduled = scheduled(1.0, above=0)
    """Temperature, a number or a schedule."""


@dataclasses.dataclass(frozen=True)
class GumbelRao(Relaxation):
    """Straight-through Gumbel-Softmax, averaged over the noise given the sample."""

    num_samples: int = bounded(10, at_least=1)
    """Draws of the noise given the hard sample."""


@dataclasses.dataclass(frozen=True)
class GappedStraightThrough(Relaxation):
    """Straight-through with logits moved towards the hard sample."""

    gap: float = bounded(1.0, at_least=0)
    """How far the drawn class lies above the others."""


@dataclasses.dataclass(frozen=True)
class DecoupledStraightThrough(Estimator):
    """Straight-through Gumbel-Softmax with two temperatures."""

    forward_temperature: Scheduled = scheduled(1.0, above=0)
    """Of the hard sample, a number or a schedule."""
    backward_temperature: Scheduled = scheduled(1.0, above=0)
    """Of the derivative, a number or a schedule."""


@dataclasses.dataclass(frozen=True)
class StraightThrough(Estimator):
    """The hard sample, differentiated as a scheduled slope."""

    slope: Scheduled = scheduled(1.0, above=0)
    """Factor of the logits in the derivative, a number or a schedule."""


@dataclasses.dataclass(frozen=True)
class Config:
    """One training run."""

    seed: int = bounded(0, at_least=0)
    """Seed of initial parameters, batches and samples."""
    data: Data = Data()
    model: Model = Model()
    optimizer: Optimizer = Optimizer()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    estimator: Estimator = Estimator()


@dataclasses.dataclass(frozen=True)
class ToyConfig:
    """One Bernoulli variable z and the objective ``(z - target)^2``, minimised."""

    seed: int = bounded(0, at_least=0)
    """Seed of the samples."""
    target: float = bounded(0.499, at_least=0)
    """Below 1/2 the optimum is z = 0."""
    logit: float = 0.0
    """Initial log-odds."""
    num_steps: int = bounded(10_000, at_least=1)
    """Gradient steps of one sample each; a multiple of steps_per_point."""
    steps_per_point: int = bounded(100, at_least=1)
    """Steps between two measurements."""
    num_variance_samples: int = bounded(1000, at_least=2)
    """Gradients in each measurement of the variance."""
    optimizer: Optimizer = Optimizer()
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


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """The settings by their dotted names, for comparisons.

    Args:
      config: a configuration, or the tables that it was written as.
      prefix: put before every name. Default: nothing.

    Returns:
      ``{"optimizer.learning_rate": 0.001, ...}``, tuples as lists.
    """
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        config = dataclasses.asdict(config)
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            # The steps of a schedule are integers here, and text in JSON.
            flat[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return flat
