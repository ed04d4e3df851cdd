"""Interpolated Kneser-Ney n-grams: the model of real text that judges samples.

It is counted and not trained, so that it cannot be fooled by what it was trained with.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

#: The classical absolute discount.
DISCOUNT = 0.75


class _Level(NamedTuple):
    """Counts of one order: of the k-grams, and of the histories in front of them."""

    grams: np.ndarray
    counts: np.ndarray
    histories: np.ndarray
    totals: np.ndarray
    types: np.ndarray


@dataclasses.dataclass(frozen=True)
class NGrams:
    """Conditional probabilities of words, from the counts of a text."""

    order: int
    num_words: int
    levels: tuple[_Level, ...]

    def log_prob(self, sentences: np.ndarray) -> np.ndarray:
        """The log-probabilities of the words and ends of sentences.

        Args:
          sentences: ``[n, time]``, as in :func:`count`.

        Returns:
          ``[events]``, one per word and per end, in nats.
        """
        windows = _windows(sentences, self.order)
        probability = np.full(len(windows), 1.0 / self.num_words)
        for k, level in enumerate(self.levels, 1):
            gram = _encode(windows[:, self.order - k :], self.num_words)
            count = _look_up(level.grams, level.counts, gram)
            history = gram // self.num_words
            total = _look_up(level.histories, level.totals, history)
            types = _look_up(level.histories, level.types, history)
            is_seen = total > 0
            left = np.where(is_seen, DISCOUNT * types, 1.0) * probability
            found = np.maximum(count - DISCOUNT, 0.0)
            probability = (found + left) / np.maximum(total, 1)
        return np.log(probability)

    def perplexity(self, sentences: np.ndarray) -> float:
        """The exponential of the mean negative log-probability of a word or end.

        Args:
          sentences: ``[n, time]``, as in :func:`count`.

        Returns:
          At least 1.
        """
        return float(np.exp(-self.log_prob(sentences).mean()))


def count(sentences: np.ndarray, num_words: int, order: int = 3) -> NGrams:
    """Counts a text.

    With counts c at the highest order and, below it, the number of different words in
    front of a k-gram, the probability of w after a history h of which T words and N
    different ones are counted is ``(max(c(hw) - d, 0) + d N p(w | h')) / T``, where h'
    is shorter by one word, down to the same probability for every word.

    Args:
      sentences: ``[n, time]``, words from 1 to ``num_words - 1``; the first 0 ends a
        sentence, and what follows it does not count.
      num_words: the number of words, the end among them.
      order: words that are looked at together. Default: 3.

    Returns:
      The model.

    Raises:
      ValueError: if so many different n-grams cannot be told apart.

    References:
      R. Kneser, H. Ney, Improved backing-off for m-gram language modeling, 1995.
      S. F. Chen, J. Goodman, An empirical study of smoothing techniques for language
      modeling, 1999.
    """
    if num_words**order >= 2**63:
        raise ValueError(
            f"Expected at most 2**63 {order}-grams, got {num_words} words. Lower the "
            "order or the vocabulary."
        )
    grams = _encode(_windows(sentences, order), num_words)
    unique, counts = np.unique(grams, return_counts=True)
    levels: list[_Level] = []
    for k in range(order, 0, -1):
        histories, first = np.unique(unique // num_words, return_index=True)
        totals = np.add.reduceat(counts, first)
        types = np.diff(np.append(first, len(unique)))
        levels.insert(0, _Level(unique, counts, histories, totals, types))
        # Below the highest order, the different words in front are counted.
        unique, counts = np.unique(unique % num_words ** (k - 1), return_counts=True)
    return NGrams(order, num_words, tuple(levels))


def _windows(sentences: np.ndarray, order: int) -> np.ndarray:
    """Words and ends with the ``order - 1`` words before them: ``[events, order]``."""
    sentences = np.asarray(sentences, np.int64)
    padded = np.pad(sentences, [(0, 0), (order - 1, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, order, axis=1)
    has_ended = np.cumsum(sentences == 0, axis=1) - (sentences == 0) > 0
    return windows[~has_ended]


def _encode(windows: np.ndarray, num_words: int) -> np.ndarray:
    """One integer for each row, the last word in its last digit."""
    code = np.zeros(len(windows), np.int64)
    for column in windows.T:
        code = code * num_words + column
    return code


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The values of sorted keys, and 0 where a key is not among them."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)
