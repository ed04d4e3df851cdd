"""Sets of text: sentences of words, and the vocabulary that makes them numbers."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxdiscrete.experiments.data.dataset import SetInfo
from jaxdiscrete.experiments.data.download import ensure_files
from jaxdiscrete.experiments.errors import UsageError

Sentences = list[tuple[str, ...]]

#: What ends a sentence, and what stands for every word that is not in the vocabulary.
END, UNKNOWN = "<end>", "<unk>"

_WORD = re.compile(r"[a-z0-9'\-]+|[^\sa-z0-9'\-]")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextInfo(SetInfo):
    """One set of sentences before its files are read."""

    read: Callable[[tuple[Path, ...]], tuple[Sentences, Sentences, Sentences]]
    """From files to sentences to train, to validate and to test."""

    @property
    def description(self) -> str:
        """A sentence."""
        return "a sentence"


class Text(NamedTuple):
    """Sentences as int32 ``[n, time]``: 0 ends one, and stands behind its end."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    words: tuple[str, ...]
    """The vocabulary: the end, the unknown word, then the most frequent first."""
    title: str
    """The name in reports."""

    def sentence(self, row: np.ndarray) -> str:
        """A row in words, up to its end."""
        ends = np.flatnonzero(row == 0)
        words = row[: ends[0]] if ends.size else row
        return " ".join(self.words[word] for word in words)


def split_words(line: str) -> tuple[str, ...]:
    """Words in small letters and punctuation marks; without a full stop at the end.

    Args:
      line: a sentence.

    Returns:
      What it consists of.
    """
    words = _WORD.findall(line.lower())
    while words and words[-1] == ".":
        words.pop()
    return tuple(words)


def load_text(info: TextInfo, num_words: int, max_words: int) -> Text:
    """Loads a set, after downloading what is not there yet.

    Args:
      info: the set.
      num_words: size of the vocabulary, the end and the unknown word among them.
      max_words: of a sentence; longer ones are left out, and the title says how many.

    Returns:
      The set; the same one for the same arguments.

    Raises:
      UsageError: if a part is left without sentences or the vocabulary is larger than
        the text's; or its files are damaged, or missing and cannot be downloaded.
    """
    every = info.read(ensure_files(info))
    parts = [[s for s in part if 0 < len(s) <= max_words] for part in every]
    if not all(parts):
        shortest = max(min(len(s) for s in part if s) for part in every)
        raise UsageError(
            f"Expected sentences of at most model.max_words = {max_words} words in "
            f"{info.name}, got none. The shortest has {shortest}: raise it."
        )
    words = vocabulary(parts[0], num_words, info.name)
    train, valid, test = (encode(part, words, max_words + 1) for part in parts)
    total, kept = (sum(map(len, p)) for p in (every, parts))
    title = f"{info.title}, {num_words:,} words"
    if kept < total:
        title += f", {kept:,} of {total:,} sentences, of at most {max_words} words"
    return Text(train, valid, test, words, title)


def vocabulary(
    sentences: Iterable[Sequence[str]], num_words: int, name: str
) -> tuple[str, ...]:
    """The most frequent words of a text, in that order and then in the alphabet's.

    Args:
      sentences: of the text.
      num_words: how many, the end and the unknown word among them.
      name: of the set, for the error message.

    Returns:
      The end, the unknown word, and the words.

    Raises:
      UsageError: if there are not so many.
    """
    counts = Counter(word for sentence in sentences for word in sentence)
    found = (END, UNKNOWN, *sorted(counts, key=lambda word: (-counts[word], word)))
    if num_words < 3 or num_words > len(found):
        raise UsageError(
            f"Expected model.num_words from 3 to the {len(found)} of {name}, the end "
            f"and the unknown word among them, got {num_words}. Correct its value."
        )
    return found[:num_words]


def encode(
    sentences: Sequence[Sequence[str]], words: Sequence[str], num_steps: int
) -> np.ndarray:
    """Sentences as numbers of words.

    Args:
      sentences: each shorter than ``num_steps``.
      words: the vocabulary; the second one stands for all that are not in it.
      num_steps: length of a row.

    Returns:
      int32 ``[n, num_steps]``, zeros from the end on.
    """
    index = {word: i for i, word in enumerate(words)}
    rows = np.zeros((len(sentences), num_steps), np.int32)
    for row, sentence in zip(rows, sentences, strict=True):
        row[: len(sentence)] = [index.get(word, 1) for word in sentence]
    return rows
