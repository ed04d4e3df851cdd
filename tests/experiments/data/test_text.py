"""Sentences, vocabularies, and text that cannot be used."""

import numpy as np
import pytest

from jaxdiscrete.experiments.data import text
from jaxdiscrete.experiments.errors import UsageError

LINES = ["The cat, the dog.", "A dog!", "", "the Cat sat on the dog's mat . ."]
SENTENCES = [text.split_words(line) for line in LINES]


def info(*parts, name="mine"):
    return text.TextInfo(name=name, title="Mine", read=lambda paths: parts)


def test_lines_become_words_in_small_letters():
    assert SENTENCES[0] == ("the", "cat", ",", "the", "dog")
    assert SENTENCES[1] == ("a", "dog", "!")
    assert SENTENCES[2] == ()
    assert SENTENCES[3] == ("the", "cat", "sat", "on", "the", "dog's", "mat")
    assert text.split_words("re-heated 2nd çake; ok") == (
        *("re-heated", "2nd", "ç", "ake", ";", "ok"),
    )


def test_the_most_frequent_words_are_numbered_first():
    data = text.load_text(info(SENTENCES, SENTENCES[:1], SENTENCES[1:2]), 6, 5)
    assert data.words == ("<end>", "<unk>", "dog", "the", "!", ",")
    assert data.train.dtype == np.int32
    assert data.train.tolist() == [[3, 1, 5, 3, 2, 0], [1, 2, 4, 0, 0, 0]]
    assert data.valid.tolist() == data.train[:1].tolist()
    assert data.sentence(data.train[0]) == "the <unk> , the dog"
    assert data.sentence(data.train[0, :5]) == "the <unk> , the dog"
    expected = "Mine, 6 words, 4 of 6 sentences, of at most 5 words"
    assert data.title == expected
    complete = info(SENTENCES[:2], SENTENCES[:2], SENTENCES[:2])
    assert text.load_text(complete, 4, 9).title == "Mine, 4 words"


def test_vocabularies_and_lengths_without_words_are_refused():
    parts = (SENTENCES, SENTENCES, SENTENCES)
    for num_words in (0, 2, 99):
        with pytest.raises(UsageError, match=rf"from 3 to the 12 of mine.*{num_words}"):
            text.load_text(info(*parts), num_words, 20)
    with pytest.raises(UsageError, match=r"max_words = 1 words in mine.*has 3: raise"):
        text.load_text(info(*parts), 5, 1)


def test_agreement_is_a_distribution_and_its_sentences_agree():
    from jaxdiscrete.experiments.data.sets import agreement

    language = agreement.all_sentences()
    assert len(language) == 6 * 3 * (1 + 6 + 6 * 2)
    assert sum(language.values()) == pytest.approx(1.0)
    assert min(language.values()) > 0
    plural_verbs = {"bark", "sleep", "sing"}
    for sentence in language:
        assert (sentence[1].endswith("s")) == (sentence[-1] in plural_verbs)
    data = text.load_text(agreement.INFO, 21, 7)
    assert [len(part) for part in data[:3]] == list(agreement.INFO.sizes)
    assert data.title == "A language of agreement, 21 words"
    assert set(data.words) == {"<end>", "<unk>"}.union(*language)
    # The sample has the language's frequencies.
    for word in ("that", "dogs", "sings"):
        p = sum(p for s, p in language.items() if word in s)
        found = np.mean([word in data.sentence(row).split() for row in data.train])
        assert abs(found - p) < 5 * np.sqrt(p * (1 - p) / len(data.train))
