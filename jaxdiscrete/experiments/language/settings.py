"""The keys of a language model and of its language."""

from __future__ import annotations

import dataclasses

from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.settings.fields import bounded
from jaxdiscrete.experiments.training.settings import Config, Model


@dataclasses.dataclass(frozen=True)
class LanguageSettings(Model):
    """An LSTM over words."""

    num_words: int = bounded(21, at_least=3)
    """Size of the vocabulary, the end and the unknown word among them."""
    max_words: int = bounded(7, at_least=1)
    """Words of a sentence at most."""
    embedding: int = bounded(32, at_least=1)
    """Size of the vectors of words."""
    hidden: int = bounded(32, at_least=1)
    """Units of the LSTM."""
    init_scale: float = bounded(0.1, above=0)
    """Standard deviation of all initial parameters."""
    alphas: tuple[float, ...] = bounded((1.0,), above=0)
    """Inverse temperatures, factors of the logits, at which the end is judged."""

    @property
    def layer_size(self) -> tuple[int, int]:
        """One word."""
        return 1, self.num_words

    def check(self, config: Config) -> None:
        """Raises where images are described."""
        if config.data.binarization is not None:
            raise UsageError(
                f"Expected no data.binarization with model.task = {self.task!r}, got "
                f"{config.data.binarization!r}: words are not drawn. Remove it."
            )
        if 1.0 not in self.alphas:
            raise UsageError(
                "Expected 1.0 among model.alphas, the model as it was trained, got "
                f"{list(self.alphas)}. Add it."
            )
