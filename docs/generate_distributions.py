"""Writes docs/distributions.md by trying every distribution: ``make distributions``."""

import importlib
import pathlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxdiscrete as jd

PAGE = pathlib.Path(__file__).parent / "distributions.md"
HEAD = """\
---
myst:
  html_meta:
    description: What distributions of distrax, NumPyro and TFP can do in jaxdiscrete
---

# Distributions of other libraries

`make distributions` wrote this page by trying every row: a gradient that is finite and
not zero, from an estimator that needs what the column names.

- **score**: `jd.reinforce`, and all that need a `Sampler`, on `jd.as_sampler(d)`.
- **variance**: `jd.reinforce_optimal_baseline`, and all that minimise a variance with
  respect to what d stores, which is then to be floating.
- **relax**: `jd.rebar`, and all that need a `Relaxable`, on the distribution in the
  second column.
- **enumerate**: `jd.exact`, and all that need an `Enumerable` or a `Finite`, on the
  same one.

The distribution in the second column has the probabilities of d; an integer is
`z @ jnp.arange(C)` of its one-hot vector. Where none stands the states are too many, or
are no classes.

"""
VECTOR = jnp.array([0.3, -0.8, 0.5])
KEYS = jax.random.split(jax.random.key(0), 4)
NEEDS = {
    "score": jd.reinforce,
    "variance": lambda f: jd.reinforce_optimal_baseline(f, num_samples=4),
    "relax": lambda f: jd.rebar(f, temperature=0.5),
    "enumerate": jd.exact,
}
VALUES = 5  # of the distributions of a count of at most four


class Row(NamedTuple):
    """One distribution, and how it is made of a parameter.

    Attributes:
      name: in its library.
      make: of the library's module and the parameter.
      parameter: an array of real numbers.
      same: this library's distribution of the same probabilities, as it is written.
    """

    name: str
    make: Callable[[Any, jax.Array], Any]
    parameter: jax.Array = VECTOR
    same: str = ""


BITS, CLASSES = "jd.Bernoulli(d.logits)", "jd.OneHotCategorical(d.logits)"
TFP_BITS = "jd.Bernoulli(d.logits_parameter())"
TFP_CLASSES = "jd.OneHotCategorical(d.logits_parameter())"
COUNTS = f"jd.OneHotCategorical(d.log_prob(jnp.arange({VALUES})))"
TFP_COUNTS = f"jd.OneHotCategorical(d.log_prob(jnp.arange({VALUES}.0)))"
ONE = jnp.array(0.4)

LIBRARIES = {
    "distrax": [
        Row("Bernoulli", lambda m, x: m.Bernoulli(logits=x), same=BITS),
        Row("Categorical", lambda m, x: m.Categorical(logits=x), same=CLASSES),
        Row("OneHotCategorical", lambda m, x: m.OneHotCategorical(x), same=CLASSES),
        Row("Softmax", lambda m, x: m.Softmax(x, 0.5), same=CLASSES),
        Row("Multinomial", lambda m, x: m.Multinomial(4, logits=x)),
        Row("Normal", lambda m, x: m.Normal(x, 1.0)),
        Row(
            "MixtureSameFamily",
            lambda m, x: m.MixtureSameFamily(
                m.Categorical(logits=x), m.Normal(jnp.arange(3.0), jnp.ones(3))
            ),
        ),
    ],
    "numpyro.distributions": [
        Row("BernoulliLogits", lambda m, x: m.BernoulliLogits(x), same=BITS),
        Row("BernoulliProbs", lambda m, x: m.BernoulliProbs(_p(x)), same=BITS),
        Row("CategoricalLogits", lambda m, x: m.CategoricalLogits(x), same=CLASSES),
        Row(
            "CategoricalProbs",
            lambda m, x: m.CategoricalProbs(jax.nn.softmax(x)),
            same=CLASSES,
        ),
        Row("BinomialLogits", lambda m, x: m.BinomialLogits(x, 4), ONE, COUNTS),
        Row("BinomialProbs", lambda m, x: m.BinomialProbs(_p(x), 4), ONE, COUNTS),
        Row("BetaBinomial", lambda m, x: m.BetaBinomial(x, 2.0, 4), ONE, COUNTS),
        Row(
            "OrderedLogistic",
            lambda m, x: m.OrderedLogistic(x, jnp.arange(4.0) - 2.0),
            ONE,
            COUNTS,
        ),
        Row("MultinomialLogits", lambda m, x: m.MultinomialLogits(x, 4)),
        Row("Poisson", lambda m, x: m.Poisson(jnp.exp(x))),
        Row("ZeroInflatedPoisson", lambda m, x: m.ZeroInflatedPoisson(0.2, _e(x))),
        Row("GeometricLogits", lambda m, x: m.GeometricLogits(x)),
        Row("NegativeBinomial2", lambda m, x: m.NegativeBinomial2(_e(x), 2.0)),
        Row("Normal", lambda m, x: m.Normal(x, 1.0)),
    ],
    "tensorflow_probability.substrates.jax.distributions": [
        Row("Bernoulli", lambda m, x: m.Bernoulli(logits=x), same=TFP_BITS),
        Row("Categorical", lambda m, x: m.Categorical(logits=x), same=TFP_CLASSES),
        Row("OneHotCategorical", lambda m, x: m.OneHotCategorical(x), same=TFP_CLASSES),
        Row("FiniteDiscrete", lambda m, x: m.FiniteDiscrete(jnp.arange(3.0), x)),
        Row("Binomial", lambda m, x: m.Binomial(4.0, logits=x), ONE, TFP_COUNTS),
        Row(
            "BetaBinomial",
            lambda m, x: m.BetaBinomial(4.0, _e(x), 2.0),
            ONE,
            TFP_COUNTS,
        ),
        Row(
            "OrderedLogistic",
            lambda m, x: m.OrderedLogistic(jnp.arange(4.0) - 2.0, x),
            ONE,
            COUNTS,
        ),
        Row("Multinomial", lambda m, x: m.Multinomial(4.0, logits=x)),
        Row("PlackettLuce", lambda m, x: m.PlackettLuce(jnp.exp(x))),
        Row("Poisson", lambda m, x: m.Poisson(log_rate=x)),
        Row("Geometric", lambda m, x: m.Geometric(logits=x)),
        Row("NegativeBinomial", lambda m, x: m.NegativeBinomial(4.0, logits=x)),
        Row("Normal", lambda m, x: m.Normal(x, 1.0)),
    ],
}
TITLES = dict(zip(LIBRARIES, ["distrax", "NumPyro", "TFP"], strict=True))


def _p(x: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(x)


def _e(x: jax.Array) -> jax.Array:
    return jnp.exp(x)


def page() -> str:
    """The whole text."""
    return HEAD + "\n".join(table(name) for name in LIBRARIES)


def table(library: str) -> str:
    """One library, by trying."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = importlib.import_module(library)
        rows = [cells(module, row) for row in LIBRARIES[library]]
    head = "| distribution | as | score | variance | relax | enumerate |"
    lines = [f"## {TITLES[library]}", "", head, "|---|---|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows), ""])


def cells(module: Any, row: Row) -> Iterator[str]:
    """What was tried with one distribution."""
    wraps = {"score": jd.as_sampler, "variance": jd.as_sampler}
    if row.same:
        same = eval(f"lambda d: {row.same}", {"jd": jd, "jnp": jnp})
        wraps |= {"relax": same, "enumerate": same}

    def loss(x: jax.Array, key: jax.Array, need: str) -> jax.Array:
        return NEEDS[need](of_sample)(key, wraps[need](row.make(module, x)))

    def is_taken(need: str) -> bool:
        try:
            jax.eval_shape(
                lambda x, k: jax.grad(loss)(x, k, need), row.parameter, KEYS[0]
            )
        except (TypeError, ValueError) as error:
            if "Expected" not in str(error):
                raise
            return False
        return True

    taken = [need for need in wraps if is_taken(need)]

    @jax.jit
    def measure(x: jax.Array) -> tuple[dict[str, jax.Array], jax.Array]:
        gradient = jax.grad(loss)
        mapped = {n: jax.vmap(lambda k, n=n: gradient(x, k, n))(KEYS) for n in taken}
        d = row.make(module, x)
        gaps = jax.vmap(lambda k: gap(d, same(d), k))(KEYS) if row.same else 0.0
        return mapped, gaps

    gradients, gaps = measure(row.parameter)
    for need, gradient in gradients.items():
        if not bool(jnp.isfinite(gradient).all()) or not bool(gradient.any()):
            raise AssertionError(f"{row.name}, {need}: {gradient}")
    if not bool(jnp.all(jnp.abs(gaps) < 1e-4)):
        raise AssertionError(f"{row.name} is not {row.same}: {gaps}")
    yield f"`{row.name}`"
    yield f"`{row.same}`" if row.same else ""
    for need in NEEDS:
        yield ("yes" if need in taken else "no") if need in wraps else ""


def of_sample(z: jax.Array) -> jax.Array:
    """An f whose values differ."""
    z = jnp.asarray(z, jnp.float32)
    return jnp.sum(z * jnp.arange(1.0, 1.0 + z.shape[-1] if z.ndim else 2.0)) ** 2


def gap(d: Any, q: Any, key: jax.Array) -> jax.Array:
    """By how much log-probabilities differ at a sample of d."""
    z = jnp.asarray(jd.as_sampler(d).sample(key))
    is_index = isinstance(q, jd.OneHotCategorical) and z.ndim < q.logits.ndim
    ours = jax.nn.one_hot(z, q.logits.shape[-1]) if is_index else z.astype(jnp.float32)
    return q.log_prob(ours).sum() - d.log_prob(z).sum()


if __name__ == "__main__":
    PAGE.write_text(page())
