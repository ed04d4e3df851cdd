"""The settings of a language model that is trained by likelihood."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.language.settings import LanguageSettings
from jaxdiscrete.experiments.training.settings import Config


@dataclasses.dataclass(frozen=True)
class Settings(LanguageSettings):
    """An LSTM over words, trained by the likelihood of sentences."""

    is_shared: ClassVar[bool] = True

    def check(self, config: Config) -> None:
        """Raises where an estimator is named that would not be used."""
        super().check(config)
        if config.estimator.name != "exact":
            raise UsageError(
                "Expected estimator.name = 'exact' with model.task = 'language_model', "
                "whose likelihood has no samples to estimate from, got "
                f"{config.estimator.name!r}. Choose it, or model.task = 'text'."
            )
