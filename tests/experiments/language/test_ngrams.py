"""Interpolated n-grams, beside a literal reading of their definition."""

import math

import numpy as np
import pytest

from jaxdiscrete.experiments.language import ngrams

NUM_WORDS = 6


@pytest.fixture(scope="module")
def text():
    """Sentences of a Markov chain, of which the last one has no end."""
    rng = np.random.default_rng(0)
    transition = rng.dirichlet(np.full(NUM_WORDS, 0.5), NUM_WORDS)
    sentences = np.zeros((60, 8), int)
    for row in sentences:
        word = 0
        for t in range(8):
            word = row[t] = rng.choice(NUM_WORDS, p=transition[word])
            if word == 0:
                break
    sentences[-1] = [1, 2, 3, 1, 2, 3, 1, 2]
    return sentences


def events(sentences, order):
    """Histories and words, one by one."""
    found = []
    for sentence in sentences.tolist():
        padded = [0] * (order - 1) + sentence
        for t in range(len(sentence)):
            found.append((tuple(padded[t : t + order - 1]), padded[t + order - 1]))
            if sentence[t] == 0:
                break
    return found


def literal(sentences, order):
    """p(word, history) as the definition says it."""
    grams = {k: set() for k in range(1, order + 1)}
    counts = {}
    for history, word in events(sentences, order):
        gram = (*history, word)
        counts[gram] = counts.get(gram, 0) + 1
        for k in grams:
            grams[k].add(gram[order - k :])

    def number(gram):
        """Occurrences, or different words in front."""
        if len(gram) == order:
            return counts.get(gram, 0)
        return sum(longer[1:] == gram for longer in grams[len(gram) + 1])

    def probability(history, word):
        of_words = [number((*history, w)) for w in range(NUM_WORDS)]
        total, types = sum(of_words), sum(c > 0 for c in of_words)
        shorter = 1 / NUM_WORDS if not history else probability(history[1:], word)
        if total == 0:
            return shorter
        found = max(of_words[word] - ngrams.DISCOUNT, 0.0)
        return (found + ngrams.DISCOUNT * types * shorter) / total

    return probability


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_probabilities_are_those_of_the_definition(text, order):
    model, p = ngrams.count(text[:40], NUM_WORDS, order), literal(text[:40], order)
    expected = [math.log(p(*event)) for event in events(text[40:], order)]
    np.testing.assert_allclose(model.log_prob(text[40:]), expected, rtol=1e-9)
    assert model.perplexity(text[40:]) == pytest.approx(np.exp(-np.mean(expected)))


def test_probabilities_of_all_words_sum_to_one(text):
    """After histories that occur, and after some that do not."""
    model = ngrams.count(text, NUM_WORDS, 3)
    for start in ([], [1], [5, 5], [2, 4], [3, 3, 3]):
        sentences = np.zeros((NUM_WORDS, len(start) + 1), int)
        sentences[:, : len(start)] = start
        sentences[:, -1] = np.arange(NUM_WORDS)
        last = model.log_prob(sentences).reshape(NUM_WORDS, -1)[:, -1]
        assert np.exp(last).sum() == pytest.approx(1.0)


def test_text_of_the_same_source_is_less_perplexing_than_noise(text):
    noise = np.random.default_rng(1).integers(1, NUM_WORDS, text.shape)
    model = ngrams.count(text[:40], NUM_WORDS)
    of_noise, uniform = model.perplexity(noise), float(NUM_WORDS)
    assert 1.0 < model.perplexity(text[:40]) < model.perplexity(text[40:-1]) < uniform
    assert of_noise > uniform


def test_what_follows_an_end_does_not_count(text):
    other = text.copy()
    for row in other:
        ends = np.flatnonzero(row == 0)
        if ends.size:
            row[ends[0] + 1 :] = 3
    a, b = ngrams.count(text, NUM_WORDS), ngrams.count(other, NUM_WORDS)
    assert a.perplexity(text) == b.perplexity(other)


def test_too_many_ngrams_are_refused(text):
    with pytest.raises(ValueError, match=r"at most 2\*\*63 5-grams, got 10000 words"):
        ngrams.count(text, 10_000, 5)
