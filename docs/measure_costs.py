"""Writes docs/costs.json, the FLOPs of a gradient of every estimator: ``make costs``.

FLOPs are those that XLA counts in the compiled program, so that they need no idle
machine and are the same in every run of one version. It counts the body of a loop once:
where a program has one, the random bits apart, the number is a lower bound.
"""

import functools
import inspect
import json
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import jaxdiscrete as jd
from jaxdiscrete.core.facts import ESTIMATORS

FILE = pathlib.Path(__file__).parent / "costs.json"
NUM_BITS, WIDTH, NUM_SAMPLES = 8, 64, 4
PROBLEM = (
    f"{NUM_BITS} bits, f a network {NUM_BITS}-{WIDTH}-{WIDTH}-1 whose weights have "
    f"gradients too, K = {NUM_SAMPLES}"
)


def network(weights: list[jax.Array], z: Any) -> jax.Array:
    """A number of each bit, or of each one-hot vector of two classes."""
    if z.ndim == 2:
        z = z[:, 1]
    for w in weights[:-1]:
        z = jnp.tanh(z @ w)
    return z @ weights[-1]


def arguments(transform: Callable[..., Any], critic: list[jax.Array]) -> dict[str, Any]:
    """A value for every argument that has no default, and K wherever there is one."""
    values = {
        "num_samples": NUM_SAMPLES,
        "num_states": NUM_SAMPLES,
        "num_noise": NUM_SAMPLES,
        "temperature": 0.5,
        "forward_temperature": 1.0,
        "backward_temperature": 0.5,
        "scale": 1.0,
        "weighted_value": 0.0,
        "weight": 1.0,
        "step_size": 1.0,
        "baseline": 0.0,
        "critic": lambda z: network(critic, z),
        "surrogate": lambda value, change: value + change,
        "control": lambda z: jnp.sum(z),
        "mean": lambda q: jnp.sum(q.mean()),
        "solver": lambda scores: (scores > 0).astype(scores.dtype),
    }
    parameters = list(inspect.signature(transform).parameters.values())[1:]
    return {
        p.name: values[p.name]
        for p in parameters
        if p.default is p.empty or p.name in ("num_samples", "num_states")
    }


def layers(key: jax.Array) -> list[jax.Array]:
    """Weights of a network."""
    shapes = [(NUM_BITS, WIDTH), (WIDTH, WIDTH), (WIDTH,)]
    keys = jax.random.split(key, len(shapes))
    return [jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=True)]


def flops(name: str) -> tuple[float, bool]:
    """Those of one gradient, of the parameters of q, the network, and the critic.

    Args:
      name: of an estimator.

    Returns:
      The number, and whether it is a lower bound.
    """
    transform, facts = functools.reduce(getattr, name.split("."), jd), ESTIMATORS[name]
    key = jax.random.key(0)
    is_binary = facts.needs.num_classes in (None, 2)

    def loss(params: Any, key: jax.Array) -> jax.Array:
        f = functools.partial(network, params["weights"])
        estimate = transform(f, **arguments(transform, params["critic"]))
        logits = params["logits"]
        if facts.family == "solvers":
            return estimate(key, logits)
        if is_binary:
            return estimate(key, jd.Bernoulli(logits))
        classes = jnp.stack([jnp.zeros_like(logits), logits], -1)
        return estimate(key, jd.OneHotCategorical(classes))

    params = {"logits": jnp.full(NUM_BITS, 0.3), "weights": layers(key)}
    params["critic"] = layers(key)
    traced = jax.jit(jax.grad(loss)).trace(params, key)
    has_loop = any(loop in str(traced.jaxpr) for loop in (" scan[", " while["))
    return traced.lower().compile().cost_analysis()["flops"], has_loop


def measure(names: list[str]) -> dict[str, str]:
    """FLOPs of some estimators, as multiples of those of REINFORCE."""
    one, _ = flops("reinforce")
    found = {}
    for name in names:
        number, is_bound = flops(name)
        ratio = number / one
        digits = f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.1f}"
        found[name] = f"{'≥ ' if is_bound else ''}{digits}"
    return found


if __name__ == "__main__":
    document = {
        "problem": PROBLEM,
        "jax": jax.__version__,
        "flops": measure(list(ESTIMATORS)),
    }
    FILE.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
