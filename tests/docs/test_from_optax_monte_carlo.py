"""What docs/guides/from_optax_monte_carlo.md claims and does not print.

Its blocks are executed in test_pages.py. Here are its links to itself, and its facts
about the moving average of optax 0.2.6, from that update written out.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdiscrete as jd
from tests.helpers.documents import ROOT
from tests.helpers.parameters import daily
from tests.helpers.trees import assert_close

PAGE = ROOT / "docs" / "guides" / "from_optax_monte_carlo.md"


def test_every_link_within_the_page_exists():
    if not PAGE.exists():
        pytest.skip("documents are not part of an installed package")
    text = PAGE.read_text()
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    anchors = {h.lower().replace(" ", "-") for h in headings}
    links = set(re.findall(r"\(#([\w-]+)\)", text))
    assert links
    assert links <= anchors


def old_average(value, step, signal, *, decay, heuristic, debias=True):
    """One update of the old moving average, and the state that it kept."""
    if heuristic:
        decay = min(decay, (1.0 + step) / (10.0 + step))
    value = decay * value + (1.0 - decay) * signal
    return value / (1.0 - decay ** (step + 1)) if debias else value


def of_a_constant_cost(steps, **options):
    value, history = 0.0, []
    for step in range(steps):
        value = old_average(value, step, 1.0, **options)
        history.append(value)
    return np.array(history)


def test_debiasing_the_debiased_value_made_a_constant_grow():
    history = of_a_constant_cost(10, decay=0.9, heuristic=False)
    assert round(history[1], 1) == 5.3
    assert round(history[9]) == 1103
    history = of_a_constant_cost(100, decay=0.99, heuristic=False)
    assert history[-1] > np.finfo(np.float32).max
    history = of_a_constant_cost(1000, decay=0.99, heuristic=True)
    assert 0.034 < np.abs(history - 1.0).max() < 0.035


def test_the_first_average_was_the_first_sample_itself():
    first = old_average(0.0, 0, 7.0, decay=0.99, heuristic=True)
    np.testing.assert_allclose(first, 7.0, rtol=1e-12)


@pytest.mark.parametrize("num_samples", daily([2], [1, 2]))
def test_an_average_that_contains_the_samples_shrinks_the_gradient(num_samples):
    """By 1 - (1 - decay) / N, exactly, over all joint samples of two bits."""
    decay, average = 0.9, 2.0
    q = jd.Bernoulli(jnp.array([0.5, -1.0]))
    f = lambda z: 3.0 + jnp.dot(z, jnp.array([2.0, -1.0]))  # noqa: E731
    states = q.enumerate_support()
    log_probs, values = jax.jit(jax.vmap(lambda z: (q.log_prob(z), f(z))))(states)
    probabilities, values = (
        np.exp(np.asarray(log_probs).sum(axis=1)),
        np.asarray(values),
    )
    scores = np.asarray(states) - np.asarray(q.mean())
    expected = np.zeros(2)
    for drawn in np.ndindex(*(4,) * num_samples):
        drawn = list(drawn)
        mean = values[drawn].mean()
        level = old_average(
            average, 100, mean, decay=decay, heuristic=False, debias=False
        )
        weights = (values[drawn] - level) / num_samples
        expected += probabilities[drawn].prod() * weights @ scores[drawn]
    exact = jax.jit(jax.grad(jd.exact(f), 1))(jax.random.key(0), q).logits
    assert_close(expected, (1.0 - (1.0 - decay) / num_samples) * exact)


def test_sgd_on_the_baseline_is_a_moving_average_of_the_past():
    q, decay = jd.Bernoulli(jnp.array([0.5, -1.0])), 0.9
    f = lambda z: 3.0 + jnp.dot(z, jnp.array([2.0, -1.0]))  # noqa: E731
    sgd = optax.sgd(1.0 - decay)
    baseline, state = jnp.array(0.0), sgd.init(jnp.array(0.0))
    average = 0.0
    both = jax.jit(jax.value_and_grad(lambda b, key: jd.nvil(f, baseline=b)(key, q)))
    for key in jax.random.split(jax.random.key(0), 5):
        value, gradient = both(baseline, key)
        assert_close(baseline, average)
        updates, state = sgd.update(gradient, state)
        baseline = optax.apply_updates(baseline, updates)
        average = decay * average + (1.0 - decay) * float(value)
