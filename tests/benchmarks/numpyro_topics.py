"""Gradient variance of numpyro.infer.TraceGraph_ELBO over ours, on a topic model.

Documents have sixteen binary topics and a guide with a hidden layer, trained first with
our loss. Both losses then estimate the gradient of the same minibatch at the same
parameters, with as many runs of guide and model.

JAXDISCRETE_DATA=... python tests/benchmarks/numpyro_topics.py [--data 20news|digits]
"""

import argparse
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
from numpyro.infer import SVI, TraceGraph_ELBO

import jaxdiscrete as jd
from jaxdiscrete.interop.numpyro import (
    GraphELBO,
    estimator,
    leave_one_out,
    two_optimizers,
)

NUM_TOPICS, NUM_HIDDEN, BATCH = 16, 100, 64
#: Of Student's t with two degrees of freedom, for 95 % of three seeds.
STUDENT = 4.303


def load(name):
    """Counts of words in documents, ``[documents, words]``."""
    if name == "digits":
        from sklearn.datasets import load_digits

        return load_digits().data.astype(np.int32)
    from scipy.sparse import csr_matrix

    folder = pathlib.Path(os.environ["JAXDISCRETE_DATA"]) / "20news"
    parts = np.load(folder / "tmnt_20news_v2000_train.npz")
    rows = csr_matrix(
        (parts["data"], parts["indices"], parts["indptr"]), shape=parts["shape"]
    )
    return rows.toarray().astype(np.int32)


def topics(counts):
    """Binary topics, whose weights add up to the logits of the words."""
    num_words = counts.shape[-1]
    weights = numpyro.param(
        "topics", lambda key: 0.1 * jax.random.normal(key, (NUM_TOPICS, num_words))
    )
    bias = numpyro.param("bias", jnp.zeros(num_words))
    prior = numpyro.param("prior", jnp.zeros(NUM_TOPICS))
    with numpyro.plate("documents", len(counts)):
        z = numpyro.sample("z", dist.Bernoulli(logits=prior).to_event(1))
        words = dist.Multinomial(counts.sum(-1), logits=bias + z @ weights)
        numpyro.sample("words", words, obs=counts)


def network(prefix, x, num_out):
    """One hidden layer."""

    def weight(name, shape):
        scale = 1.0 / np.sqrt(shape[0])
        return numpyro.param(
            prefix + name, lambda key: scale * jax.random.normal(key, shape)
        )

    hidden = jnp.tanh(x @ weight("in", (x.shape[-1], NUM_HIDDEN)))
    return hidden @ weight("out", (NUM_HIDDEN, num_out))


def guide(counts, *, with_baseline):
    """Topics given the words, and a network that predicts the bound."""
    x = jnp.log1p(counts)
    infer = {}
    if with_baseline:
        length = counts.sum(-1)
        rate = network("control.", x, 1)[:, 0]
        infer = estimator(jd.nvil, baseline=rate * length)
    logits = network("", x, NUM_TOPICS)
    with numpyro.plate("documents", len(counts)):
        numpyro.sample("z", dist.Bernoulli(logits=logits).to_event(1), infer=infer)


def guide_with_baseline(counts):
    """The guide of a network of baselines."""
    guide(counts, with_baseline=True)


def guide_without(counts):
    """The guide that names no estimator."""
    guide(counts, with_baseline=False)


def trained(counts, seed, num_steps):
    """Parameters after some steps with our loss."""
    tx = two_optimizers(optax.adam(1e-3), optax.adam(3e-3))
    svi = SVI(topics, guide_with_baseline, tx, GraphELBO())
    rng = np.random.default_rng(seed)
    state = svi.init(jax.random.key(seed), jnp.asarray(counts[:BATCH]))
    batches = jnp.asarray(rng.integers(len(counts), size=(num_steps, BATCH)))
    everything = jnp.asarray(counts)

    def step(state, rows):
        return svi.update(state, everything[rows])

    state, losses = jax.jit(lambda s: jax.lax.scan(step, s, batches))(state)
    losses = np.asarray(losses) / BATCH
    print(
        f"  loss per document {losses[:20].mean():.1f}, then {losses[-20:].mean():.1f}"
    )
    return svi.get_params(state)


def variances(elbo, guide, params, counts, num_gradients, seed):
    """The variance of every entry of the gradient, by name of the parameter."""
    free = {n: p for n, p in params.items() if not n.startswith("control.")}
    fixed = {n: p for n, p in params.items() if n.startswith("control.")}

    def gradient(key):
        return jax.grad(lambda p: elbo.loss(key, fixed | p, topics, guide, counts))(
            free
        )

    keys = jax.random.split(jax.random.key(seed), num_gradients)

    def moments(carry, key):
        first, square, centre = carry
        shifted = jax.tree.map(jnp.subtract, gradient(key), centre)
        first = jax.tree.map(jnp.add, first, shifted)
        square = jax.tree.map(lambda s, x: s + x * x, square, shifted)
        return (first, square, centre), None

    @jax.jit
    def run(keys):
        zero = jax.tree.map(jnp.zeros_like, free)
        start = (zero, zero, gradient(keys[0]))
        (first, square, _), _ = jax.lax.scan(moments, start, keys)
        return jax.tree.map(
            lambda a, b: (b - a * a / num_gradients) / (num_gradients - 1),
            first,
            square,
        )

    return {name: np.asarray(v).ravel() for name, v in run(keys).items()}


def median_ratio(theirs, ours, names):
    """The median over parameters of the ratio, where either of them varies."""
    a = np.concatenate([theirs[name] for name in names])
    b = np.concatenate([ours[name] for name in names])
    varies = (a > 0) & (b > 0)
    return np.median(a[varies] / b[varies])


def interval(ratios):
    """The geometric mean of three seeds and its interval at 95 %."""
    logs = np.log(ratios)
    half = STUDENT * logs.std(ddof=1) / np.sqrt(len(logs))
    return np.exp([logs.mean(), logs.mean() - half, logs.mean() + half])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", choices=["20news", "digits"], default="digits")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--gradients", type=int, default=300)
    options = parser.parse_args()
    counts = load(options.data)
    pairs = {
        "nvil, 1 particle": (GraphELBO(), guide_with_baseline, 1),
        "leave_one_out, 4 particles": (
            GraphELBO(default=leave_one_out(), num_particles=4),
            guide_without,
            4,
        ),
    }
    ratios = {}
    for seed in range(3):
        params = trained(counts, seed, options.steps)
        batch = jnp.asarray(
            counts[np.random.default_rng(9 + seed).integers(len(counts), size=BATCH)]
        )
        groups = {
            "guide": ["in", "out"],
            "model": ["topics", "bias", "prior"],
            "all": ["in", "out", "topics", "bias", "prior"],
        }
        for pair, (elbo, own_guide, num) in pairs.items():
            theirs = variances(
                TraceGraph_ELBO(num_particles=num),
                guide_without,
                params,
                batch,
                options.gradients,
                seed,
            )
            ours = variances(elbo, own_guide, params, batch, options.gradients, seed)
            for group, names in groups.items():
                ratios.setdefault((pair, group), []).append(
                    median_ratio(theirs, ours, names)
                )
    for (pair, group), values in ratios.items():
        mean, low, high = interval(values)
        each = ", ".join(f"{v:.3g}" for v in values)
        print(f"{pair}, {group}: {mean:.3g} [{low:.3g}, {high:.3g}] of {each}")


if __name__ == "__main__":
    main()
