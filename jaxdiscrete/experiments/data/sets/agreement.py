"""A small language of which every sentence and its probability is known.

Subject and verb agree in number across words that mislead: "the dog that likes the
birds barks". It needs no download.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from jaxdiscrete.experiments.data.text import Sentences, TextInfo

#: The vocabulary, with the end and the unknown word, and the longest sentence.
NUM_WORDS, MAX_WORDS = 21, 7
_SIZES = (2_000, 500, 500)
_SEED = 0

#: Nouns, singular and plural, and their probability as a subject.
_NOUNS = {"dog dogs": 0.5, "cat cats": 0.3, "bird birds": 0.2}
#: For each noun the probabilities of its verbs.
_VERBS = ("barks bark", "sleeps sleep", "sings sing")
_PREFERENCES = ((0.7, 0.25, 0.05), (0.05, 0.85, 0.1), (0.05, 0.25, 0.7))
_TRANSITIVE = {"likes like": 0.6, "sees see": 0.4}
_PLURAL = 0.4
#: A plain sentence, one with a place, one with a relative clause.
_SHAPES = (0.4, 0.3, 0.3)


def all_sentences() -> dict[tuple[str, ...], float]:
    """Every sentence of the language with its probability.

    Returns:
      Probabilities by sentence, which sum to one.
    """
    numbers = ((0, 1.0 - _PLURAL), (1, _PLURAL))
    nouns = [
        (i, number, noun.split()[number], p * p_number)
        for (i, (noun, p)), (number, p_number) in itertools.product(
            enumerate(_NOUNS.items()), numbers
        )
    ]
    found: dict[tuple[str, ...], float] = {}
    for i, number, noun, p in nouns:
        for verb, p_verb in zip(_VERBS, _PREFERENCES[i], strict=True):
            start, end = ("the", noun), (verb.split()[number],)
            found[start + end] = _SHAPES[0] * p * p_verb
            for _, _, other, p_other in nouns:
                q = p * p_verb * p_other
                found[(*start, "near", "the", other, *end)] = _SHAPES[1] * q
                for link, p_link in _TRANSITIVE.items():
                    clause = ("that", link.split()[number], "the", other)
                    found[start + clause + end] = _SHAPES[2] * q * p_link
    return found


def read(paths: tuple[Path, ...]) -> tuple[Sentences, Sentences, Sentences]:
    """Independent sentences of the language."""
    del paths
    language = all_sentences()
    sentences = list(language)
    probabilities = np.array(list(language.values()))
    rng = np.random.default_rng(_SEED)
    train, valid, test = (
        [sentences[i] for i in rng.choice(len(sentences), size, p=probabilities)]
        for size in _SIZES
    )
    return train, valid, test


INFO = TextInfo(
    name="agreement",
    title="A language of agreement",
    sizes=_SIZES,
    read=read,
)
