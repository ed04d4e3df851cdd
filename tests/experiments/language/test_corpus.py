"""What judges samples: the oracle, n-grams, a language of which all is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.data.sets import agreement
from jaxdiscrete.experiments.data.text import Text, load_text
from jaxdiscrete.experiments.language import captions, corpus, oracle
from jaxdiscrete.experiments.language.captions import TextCorpus
from jaxdiscrete.experiments.language.formal import FormalCorpus
from jaxdiscrete.experiments.language.model import LanguageModel
from jaxdiscrete.experiments.language.ngrams import count


def test_the_oracle_is_the_authors(real_data):
    """Nats a word of its own sentences, of uniform words, and of a new generator."""
    real_data("seqgan_oracle")
    params, num = oracle.load_params(), 1000
    own = corpus.draw(oracle.MODEL, params, jax.random.key(1), num)
    each = -corpus.log_probs(oracle.MODEL, params, own).mean(1)
    error = each.std() / np.sqrt(num)
    assert error < 0.03
    assert abs(each.mean() - 5.761) < 4 * error
    uniform = jax.random.randint(jax.random.key(2), own.shape, 0, 5000)
    assert abs(corpus.mean_nll(oracle.MODEL, params, uniform) - 11.41) < 0.1
    fresh = oracle.MODEL.init(jax.random.key(3))
    made = corpus.draw(oracle.MODEL, fresh, jax.random.key(4), num)
    assert abs(corpus.mean_nll(oracle.MODEL, params, made) - 11.45) < 0.1


def test_the_formal_language_is_judged_without_samples():
    """A model that knows the language, one word per state, beside an untrained one."""
    text = load_text(agreement.INFO, agreement.NUM_WORDS, agreement.MAX_WORDS)
    language = FormalCorpus(text)
    model = LanguageModel(num_words=21, num_steps=8, embedding=3, hidden=3, scale=1e-6)
    found = language.final_metrics(model, model.init(jax.random.key(0)), None, 0)
    # Nearly uniform words: 21 of them at every place, and the end is one.
    sentences = agreement.all_sentences()
    lengths = np.array([len(s) + 1.0 for s in sentences])
    p = np.array(list(sentences.values()))
    expected = np.sum(p * (np.log(p) + lengths * np.log(21)))
    assert found["divergence"] == pytest.approx(expected, rel=1e-3)
    assert found["grammatical"] == pytest.approx(np.sum(21.0**-lengths), rel=1e-3)
    assert language.show(text.train[0]) == text.sentence(text.train[0])


def test_samples_are_judged_in_both_directions(monkeypatch):
    """Copies of one good sentence do well forwards and badly backwards."""
    rng = np.random.default_rng(0)
    real = np.zeros((400, 6), np.int32)
    real[:, :5] = np.sort(rng.integers(1, 30, (400, 5)))
    train, test = real[:200], real[200:]
    words = tuple(map(str, range(30)))
    judge = TextCorpus(Text(train, test, test, words, "sorted numbers"))
    model = LanguageModel(num_words=30, num_steps=6, embedding=2, hidden=2)
    params = model.init(jax.random.key(0))

    def judged(samples):
        monkeypatch.setattr(captions, "draw", lambda *args: jnp.asarray(samples))
        return judge.final_metrics(model, params, jax.random.key(1), len(samples))

    fresh = np.sort(rng.integers(1, 30, (200, 6)))[:, :6].astype(np.int32)
    fresh[:, 5] = 0
    noise = rng.integers(1, 30, (200, 6)).astype(np.int32)
    one = np.repeat(test[:1], 200, axis=0)
    same, copied, real_ones, random = map(judged, (one, train, fresh, noise))
    assert same["forward_perplexity"] < real_ones["forward_perplexity"]
    assert same["reverse_perplexity"] > real_ones["reverse_perplexity"]
    assert real_ones["forward_perplexity"] < random["forward_perplexity"]
    assert real_ones["reverse_perplexity"] < random["reverse_perplexity"]
    assert same["distinct"] == 1 / 200
    assert copied["novel"] == 0.0
    assert random["novel"] == 1.0
    assert copied["words"] == 5.0
    assert copied["reverse_perplexity"] == pytest.approx(
        count(train, 30).perplexity(test)
    )
    assert same["test_perplexity"] == pytest.approx(30, rel=0.05)
