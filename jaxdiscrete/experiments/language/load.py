"""From the name of a set to sentences, and to what judges samples of a model."""

from __future__ import annotations

from jaxdiscrete.experiments.data.load import DATASETS
from jaxdiscrete.experiments.data.sets.agreement import MAX_WORDS, NUM_WORDS
from jaxdiscrete.experiments.data.text import TextInfo, load_text
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.language import oracle
from jaxdiscrete.experiments.language.captions import TextCorpus
from jaxdiscrete.experiments.language.corpus import Corpus
from jaxdiscrete.experiments.language.formal import FormalCorpus
from jaxdiscrete.experiments.language.model import LanguageModel
from jaxdiscrete.experiments.language.settings import LanguageSettings

_ORACLE, _FORMAL = "seqgan_oracle", "agreement"


def load_corpus(name: str, settings: LanguageSettings) -> Corpus:
    """Loads sentences.

    Args:
      name: of the set.
      settings: of the vocabulary and of the length.

    Returns:
      The corpus.

    Raises:
      UsageError: if there is no such set, it has another vocabulary or length, or its
        files are damaged, or missing and cannot be downloaded.
    """
    num_words, max_words = settings.num_words, settings.max_words
    if name == _ORACLE:
        _check_size(name, "num_words", num_words, oracle.MODEL.num_words)
        _check_size(name, "max_words", max_words, oracle.MODEL.num_steps)
        return oracle.load()
    texts = {n: info for n, info in DATASETS.items() if isinstance(info, TextInfo)}
    if name not in texts:
        raise UsageError(
            f"Expected a data set of text among {', '.join([*texts, _ORACLE])}, got "
            f"{name!r}. Set data.name to one of them."
        )
    if name == _FORMAL:
        # With fewer words or shorter sentences it would be another language.
        _check_size(name, "num_words", num_words, NUM_WORDS)
        _check_size(name, "max_words", max_words, MAX_WORDS)
        return FormalCorpus(load_text(texts[name], num_words, max_words))
    return TextCorpus(load_text(texts[name], num_words, max_words))


def make_model(settings: LanguageSettings, corpus: Corpus) -> LanguageModel:
    """The model of a corpus.

    Args:
      settings: of the model.
      corpus: of its sentences.

    Returns:
      The model.
    """
    return LanguageModel(
        num_words=settings.num_words,
        num_steps=corpus.train.shape[1],
        embedding=settings.embedding,
        hidden=settings.hidden,
        scale=settings.init_scale,
        ends=corpus.ends,
    )


def _check_size(name: str, key: str, got: int, expected: int) -> None:
    if got != expected:
        raise UsageError(
            f"Expected model.{key} = {expected}, as {name} has it, got {got}. Correct "
            "its value."
        )
