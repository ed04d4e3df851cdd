"""The settings of a generator of sentences that is trained by rewards."""

from __future__ import annotations

import dataclasses
from typing import Literal

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.enumeration import Exact
from jaxdiscrete.experiments.estimators.sequences import PATHWISE
from jaxdiscrete.experiments.language.settings import LanguageSettings
from jaxdiscrete.experiments.settings.fields import (
    Scheduled,
    bounded,
    constant,
    scheduled,
)
from jaxdiscrete.experiments.tasks.language_model.settings import Settings as Start
from jaxdiscrete.experiments.training.settings import Config, Optimizer, Training

#: Estimators of one decision after another.
SEQUENTIAL = (
    "reinforce",
    "reinforce_constant_baseline",
    "reinforce_loo",
    "nvil",
    "relax",
)


@dataclasses.dataclass(frozen=True)
class Settings(LanguageSettings):
    """An LSTM over words, trained by rewards, and its discriminator."""

    reward: Literal["discriminator", "constant", "random"] = "discriminator"
    """The reward of a word: the log-odds that it adds, always 1/2, or a number
    between 0 and 1 that has nothing to do with it."""
    reward_clip: float = bounded(5.0, above=0)
    """Largest size of a word's reward."""
    discount: float = bounded(1.0, at_least=0)
    """Weight of the next word's reward in the credit of a word; 0 leaves its own."""
    start_steps: int = bounded(0, at_least=0)
    """Steps by likelihood before; none begins from scratch."""
    start_batch_size: int = bounded(64, at_least=1)
    """Sentences per step by likelihood."""
    start_learning_rate: float = bounded(1e-2, above=0)
    """Learning rate of Adam by likelihood."""
    start_block: int = bounded(100, at_least=1)
    """Steps by likelihood between two reports; divides start_steps."""
    start_alphas: tuple[float, ...] = bounded((1.0,), above=0)
    """Inverse temperatures at which the run by likelihood is judged."""
    discriminator_embedding: int = bounded(32, at_least=1)
    """Size of the discriminator's vectors of words."""
    discriminator_hidden: int = bounded(32, at_least=1)
    """Units of the discriminator's LSTM."""
    discriminator_dropout: float = bounded(0.2, at_least=0)
    """Share of the discriminator's units that is left out."""
    discriminator_learning_rate: Scheduled = scheduled(3e-3, at_least=0)
    """Learning rate of the discriminator, a number or a schedule."""

    @property
    def learning_rates(self) -> dict[str, Scheduled]:
        """The discriminator has its own."""
        return {"discriminator": self.discriminator_learning_rate}

    def start(self, config: Config) -> Config | None:
        """The run by likelihood that comes first; the same one for every seed."""
        if not self.start_steps:
            return None
        names = [f.name for f in dataclasses.fields(Start) if f.init]
        shared = {name: getattr(self, name) for name in names}
        shared["alphas"] = self.start_alphas
        return Config(
            data=config.data,
            model=Start(**shared),
            optimizer=Optimizer(learning_rate=constant(self.start_learning_rate)),
            training=Training(
                num_steps=self.start_steps,
                batch_size=self.start_batch_size,
                steps_per_block=self.start_block,
                blocks_per_checkpoint=1,
            ),
            evaluation=config.evaluation,
            estimator=Exact(),
        )

    def check(self, config: Config) -> None:
        """Raises where estimator, reward and batch do not go together."""
        super().check(config)
        name, batch = config.estimator.name, config.training.batch_size
        if name not in PATHWISE + SEQUENTIAL:
            raise UsageError(
                f"Expected estimator.name among {', '.join(SEQUENTIAL + PATHWISE)} "
                f"with model.task = 'text', got {name!r}. Choose one of them."
            )
        if name in PATHWISE and self.reward != "discriminator":
            raise UsageError(
                f"Expected model.reward = 'discriminator' with {name}, which "
                f"differentiates it in the words, got {self.reward!r}. Change it."
            )
        if batch % config.estimator.hard_samples:
            raise UsageError(
                "Expected training.batch_size to be a multiple of "
                f"estimator.num_samples = {config.estimator.hard_samples}, got "
                f"{batch}. Change one of them."
            )
        if self.discriminator_dropout >= 1.0:
            raise UsageError(
                "Expected model.discriminator_dropout < 1, got "
                f"{self.discriminator_dropout}. Lower it."
            )
        if self.start_steps % self.start_block:
            raise UsageError(
                "Expected model.start_steps to be a multiple of model.start_block = "
                f"{self.start_block}, got {self.start_steps}. Change one of them."
            )
