"""What must hold of a run's settings together."""

from __future__ import annotations

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.settings.check import check_bounds
from jaxdiscrete.experiments.training.settings import Config


def check(config: Config) -> None:
    """Checks the ranges of a run, and that its tables go together.

    Args:
      config: of a run.

    Raises:
      UsageError: naming the key, what was expected and what came.
    """
    check_bounds(config, "")
    steps, block = config.training.num_steps, config.training.steps_per_block
    if steps % block:
        raise UsageError(
            "Expected training.num_steps to be a multiple of "
            f"training.steps_per_block={block}, got {steps}. Change one of them."
        )
    config.estimator.check()
    config.model.check(config)
    if config.estimator.is_of_gaussian and not config.model.is_gaussian:
        raise UsageError(
            f"Expected an estimator of discrete variables with model.task = "
            f"{config.model.task!r}, got {config.estimator.name}, which is one of a "
            "Gaussian's mean and scale. Choose another."
        )
