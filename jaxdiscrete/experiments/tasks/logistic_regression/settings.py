"""A Gaussian of the weights of a logistic regression, as a file describes it."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.settings.fields import bounded
from jaxdiscrete.experiments.training.settings import Config, Model

#: Of scikit-learn's breast cancer set, and its features with a column of ones.
NUM_ROWS, NUM_WEIGHTS = 569, 31

#: Estimators that ask of q only samples and their density, and those of Gaussians.
ALLOWED = (
    "reinforce",
    "reinforce_loo",
    "nvil",
    "delta_method",
    "measure_valued_gaussian",
    "pathwise",
)


@dataclasses.dataclass(frozen=True)
class Settings(Model):
    """A Gaussian that is fitted to the posterior of a classifier's weights.

    The rows are those of the breast cancer set of scikit-learn, which needs no
    download; every weight has a mean and a scale, and the prior is N(0, 1).
    """

    num_gradients: int = bounded(1000, at_least=2)
    """Gradients in each measurement of the variance, over all rows, at the end of a
    block."""

    is_gaussian: ClassVar[bool] = True

    @property
    def layer_size(self) -> tuple[int, int]:
        """The weights, which have no classes."""
        return NUM_WEIGHTS, 0

    def check(self, config: Config) -> None:
        """Raises where there are too few rows, or an estimator cannot be used."""
        batch_size, estimator = config.training.batch_size, config.estimator
        if batch_size > NUM_ROWS:
            raise UsageError(
                f"Expected training.batch_size <= {NUM_ROWS}, the rows that there are, "
                f"got {batch_size}. Lower it."
            )
        if estimator.name not in ALLOWED:
            raise UsageError(
                f"Expected estimator.name among {', '.join(ALLOWED)} for "
                "model.task = 'logistic_regression', where q is a Gaussian, got "
                f"{estimator.name}. Choose one of them."
            )
        if getattr(estimator, "input_baseline", False):
            raise UsageError(
                "Expected no baseline of the inputs with "
                "model.task = 'logistic_regression', whose samples have none, got one "
                f"in {estimator.name}. Set estimator.input_baseline = false."
            )
