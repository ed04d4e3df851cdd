"""The LSTM, beside NumPy, and its samples beside its probabilities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.language.model import LanguageModel

MODEL = LanguageModel(num_words=4, num_steps=3, embedding=3, hidden=5, scale=1.0)


@pytest.fixture(scope="module")
def params():
    return MODEL.init(jax.random.key(0))


def all_sentences():
    """Every sentence once, with zeros behind its end."""
    found = {}
    for code in range(4**3):
        sentence = [code // 16, code // 4 % 4, code % 4]
        if 0 in sentence:
            end = sentence.index(0)
            sentence[end:] = [0] * (3 - end)
        found[tuple(sentence)] = None
    return np.array(list(found), np.int32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_one_word_after_another_is_an_lstm(params):
    """Gates i, f, o and the candidate, as in any textbook."""
    cell = jax.tree.map(np.asarray, params["cell"])
    c, h = np.zeros(5), np.zeros(5)
    log_probs = []
    sentence = np.array([2, 1, 3], np.int32)
    for before, word in zip([0, *sentence[:-1]], sentence, strict=True):
        x = np.asarray(params["embedding"])[before]
        i, f, g, o = (
            x @ cell[f"i{gate}"]["kernel"]
            + h @ cell[f"h{gate}"]["kernel"]
            + cell[f"h{gate}"]["bias"]
            for gate in "ifgo"
        )
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        out = jax.tree.map(np.asarray, params["output"])
        logits = h @ out["kernel"] + out["bias"]
        log_probs.append(logits[word] - np.log(np.exp(logits).sum()))
    np.testing.assert_allclose(
        MODEL.log_prob(params, jnp.asarray(sentence)), log_probs, rtol=1e-4
    )


@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_samples_occur_as_often_as_their_probability_says(params, alpha):
    """All sentences are counted."""
    sentences, num = all_sentences(), 40_000
    params = MODEL.sharpen(params, alpha)
    log_prob = jax.vmap(MODEL.log_prob, (None, 0))(params, sentences)
    log_prob = jnp.where(MODEL.counts(sentences), log_prob, 0.0).sum(1)
    expected = np.exp(np.asarray(log_prob))
    assert expected.sum() == pytest.approx(1.0, rel=1e-4)

    keys = jax.random.split(jax.random.key(1), num)
    samples = np.asarray(jax.jit(jax.vmap(MODEL.sample, (None, 0)))(params, keys))
    found = (samples[:, None] == sentences[None]).all(-1)
    assert found.sum(1).min() == 1  # zeros behind the end
    error = np.sqrt(expected * (1 - expected) / num)
    assert (np.abs(found.mean(0) - expected) < 5 * error + 1e-5).all()


def test_alpha_multiplies_the_logits(params):
    carry = MODEL.read(params, MODEL.start(), params["embedding"][0])
    sharp = MODEL.logits(MODEL.sharpen(params, 2.0), carry)
    np.testing.assert_allclose(sharp, 2.0 * MODEL.logits(params, carry), rtol=1e-5)


def test_words_behind_an_end_do_not_count():
    sentences = jnp.array([[0, 0, 0], [1, 0, 0], [1, 2, 3], [1, 2, 0]])
    expected = [[1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 1, 1]]
    assert MODEL.counts(sentences).astype(int).tolist() == expected
    endless = LanguageModel(num_words=4, num_steps=3, embedding=3, hidden=5, ends=False)
    assert endless.counts(sentences).all()
    sample = endless.sample(endless.init(jax.random.key(0)), jax.random.key(3))
    assert sample.shape == (3,)
