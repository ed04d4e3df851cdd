"""Draws the README's figure: variance against calls of f, measured by jd.measure.

One problem for all: eight Bernoulli variables and a small random network as f, whose
gradient is exact by enumeration. Whatever an estimator can train is trained first, by
the gradients that it gives for it. Run ``make figures`` after a change.
"""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import optax

import jaxdiscrete as jd

matplotlib.use("agg")
import matplotlib.pyplot as plt

HERE = pathlib.Path(__file__).parent
MOST_CALLS = 16
NUM_GRADIENTS = 20_000
TRAINING_STEPS = 1_000
COLORS = {
    "one sample": "#0072B2",
    "independent samples": "#D55E00",
    "coupled or distinct samples": "#009E73",
    "biased": "#666666",
}


class Curve(NamedTuple):
    """An estimator at several numbers of calls.

    Attributes:
      label: what the figure calls it.
      group: a key of COLORS.
      transform: ``(f, trained, num_samples) -> estimate``.
      sizes: the numbers of samples to measure.
      start: initial values of what it trains.
    """

    label: str
    group: str
    transform: Callable[..., Any]
    sizes: tuple[int, ...]
    start: Any = ()


def repeated(one: Callable[..., Any]) -> Callable[..., Any]:
    """The mean of several estimates of one sample."""
    return lambda f, cv, k: jd.monte_carlo(one(f, cv), num_repeats=k)


def several(transform: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """A transform that takes a number of samples and trains nothing."""
    return lambda f, cv, k: transform(f, num_samples=k, **options)


def critic(weights: Any) -> Callable[[jax.Array], jax.Array]:
    """A network of the sample, for RELAX."""
    return lambda z: jnp.dot(jnp.tanh(z @ weights["in"] + weights["b"]), weights["out"])


def new_critic(key: jax.Array) -> dict[str, jax.Array]:
    """Its initial weights."""
    key_in, key_out = jax.random.split(key)
    return {
        "in": jax.random.normal(key_in, (8, 32)) / 8**0.5,
        "b": jnp.zeros(32),
        "out": 0.1 * jax.random.normal(key_out, (32,)),
    }


def with_critic(f: jd.Objective, cv: Any) -> Any:
    return jd.relax(f, critic(cv["critic"]), temperature=jnp.exp(cv["log_t"]))


def with_relaxed_f(f: jd.Objective, cv: Any) -> Any:
    return jd.rebar(f, temperature=jnp.exp(cv["log_t"]), scale=cv["scale"])


UNIT = jnp.array(1.0)
TEMPERATURE = jnp.log(0.5)
# How many samples, for estimators with one call per sample, with two, or of several.
SINGLE, DOUBLE, SEVERAL = (1, MOST_CALLS), (1, MOST_CALLS // 2), (2, 4, 8, MOST_CALLS)
CURVES = [
    Curve("REINFORCE", "one sample", repeated(lambda f, cv: jd.reinforce(f)), SINGLE),
    Curve(
        "trained baseline",
        "one sample",
        repeated(lambda f, cv: jd.reinforce(f, baseline=cv)),
        SINGLE,
        UNIT,
    ),
    Curve(
        "RELAX",
        "one sample",
        repeated(with_critic),
        SINGLE,
        {"log_t": TEMPERATURE, "critic": new_critic(jax.random.key(4))},
    ),
    Curve(
        "MuProp",
        "one sample",
        repeated(lambda f, cv: jd.muprop(f, linear_scale=cv)),
        DOUBLE,
        UNIT,
    ),
    Curve(
        "REBAR",
        "one sample",
        repeated(with_relaxed_f),
        DOUBLE,
        {"log_t": TEMPERATURE, "scale": UNIT},
    ),
    Curve("leave-one-out", "independent samples", several(jd.reinforce_loo), SEVERAL),
    Curve(
        "double CV",
        "independent samples",
        lambda f, cv, k: jd.double_cv(f, num_samples=k, scale=cv),
        SEVERAL,
        jnp.array(0.0),
    ),
    Curve("DisARM", "coupled or distinct samples", several(jd.disarm), SEVERAL),
    Curve("ARMS", "coupled or distinct samples", several(jd.arms), SEVERAL[1:]),
    Curve(
        "unordered set",
        "coupled or distinct samples",
        several(jd.unordered_set),
        SEVERAL,
    ),
    Curve(
        "local expectations",
        "coupled or distinct samples",
        lambda f, cv, k: jd.local_expectation(f),
        (1,),
    ),
    Curve(
        "Gumbel-Softmax",
        "biased",
        lambda f, cv, k: jd.gumbel_softmax(f, temperature=0.5),
        (1,),
    ),
    Curve("ReinMax", "biased", lambda f, cv, k: jd.reinmax(f), (1,)),
    Curve("straight-through", "biased", lambda f, cv, k: jd.straight_through(f), (1,)),
]


def problem() -> tuple[jd.Objective, jd.Bernoulli]:
    """The objective and the distribution."""
    keys = jax.random.split(jax.random.key(0), 3)
    first = jax.random.normal(keys[0], (8, 16))
    second = jax.random.normal(keys[1], (16,)) / 4.0

    def f(z: jax.Array) -> jax.Array:
        return (jnp.dot(second, jnp.tanh((z - 0.5) @ first)) - 1.0) ** 2

    return f, jd.Bernoulli(jax.random.normal(keys[2], (8,)))


def train(curve: Curve, num_samples: int, f: jd.Objective, q: jd.Bernoulli) -> Any:
    """The control variate after descent of the variance."""
    if not jax.tree.leaves(curve.start):
        return curve.start
    tx = optax.adam(0.02)

    def step(carry: Any, key: jax.Array) -> Any:
        cv, state = carry

        def loss(cv: Any) -> jax.Array:
            return curve.transform(f, cv, num_samples)(key, q)

        updates, state = tx.update(jax.grad(loss)(cv), state)
        return (optax.apply_updates(cv, updates), state), None

    keys = jax.random.split(jax.random.key(2), TRAINING_STEPS)
    carry = (curve.start, tx.init(curve.start))
    return jax.jit(lambda c: jax.lax.scan(step, c, keys))(carry)[0][0]


def measured() -> dict[str, tuple[Curve, list[int], list[float]]]:
    """Calls and variances of every curve, by its label."""
    f, q = problem()
    transforms = {}
    for curve in CURVES:
        # Estimates are trained as they are used, with the most samples.
        cv = train(curve, curve.sizes[-1], f, q)
        for size in curve.sizes:
            transforms[curve.label, size] = lambda f, c=curve, cv=cv, k=size: (
                c.transform(f, cv, k)
            )
    named = {f"{label} {size}": t for (label, size), t in transforms.items()}
    result = jd.measure(named, jax.random.key(3), q, f=f, num_gradients=NUM_GRADIENTS)
    print(result)
    found = {}
    for curve in CURVES:
        read = [result.estimators[f"{curve.label} {size}"] for size in curve.sizes]
        calls = [x.calls for x in read]
        found[curve.label] = (curve, calls, [x.total_variance for x in read])
    return found


def draw(found: dict[str, tuple[Curve, list[int], list[float]]]) -> None:
    """One line per estimator, named at its end."""
    plt.rcParams.update({"svg.hashsalt": "jaxdiscrete", "font.size": 9})
    figure, axes = plt.subplots(figsize=(7.6, 4.8))
    figure.subplots_adjust(left=0.09, right=0.99, top=0.98, bottom=0.1)
    for curve, calls, variances in found.values():
        axes.plot(calls, variances, "o-", **style(curve.group))
    for group in COLORS:
        axes.plot([], [], "o-", **style(group), label=group)
    axes.set(xscale="log", yscale="log", xlim=(0.42, 45), ylim=(0.15, 20))
    axes.set(xlabel="calls of f per gradient", ylabel="variance of the gradient")
    axes.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
    axes.set_yticks([0.3, 1, 3, 10], ["0.3", "1", "3", "10"])
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower left")
    at_the_end = [x for x in found.values() if x[1][-1] == MOST_CALLS]
    for (curve, calls, variances), shift in zip(
        at_the_end, shifts(axes, [x[2][-1] for x in at_the_end]), strict=True
    ):
        name(axes, curve, calls[-1], variances[-1], (24, shift), "left")
    for curve, calls, variances in found.values():
        if curve.group == "biased":
            name(axes, curve, calls[-1], variances[-1], (-7, 0), "right")
        elif calls[-1] != MOST_CALLS:
            name(axes, curve, calls[-1], variances[-1], (14, 70), "left")
    figure.savefig(HERE / "variance_against_calls.svg", metadata={"Date": None})
    plt.close(figure)


def style(group: str) -> dict[str, Any]:
    """Color and marker; hollow where the gradient is biased."""
    color = COLORS[group]
    fill = "white" if group == "biased" else color
    return {"color": color, "markerfacecolor": fill, "markersize": 4, "linewidth": 1.3}


def name(
    axes: Any, curve: Curve, x: float, y: float, shift: tuple[float, float], side: str
) -> None:
    """Writes a label beside a point, with a thin line where it is far away."""
    line = {"arrowstyle": "-", "linewidth": 0.5, "color": "#aaaaaa", "shrinkB": 4}
    axes.annotate(
        curve.label,
        (x, y),
        xytext=shift,
        textcoords="offset points",
        ha=side,
        va="center",
        color=COLORS[curve.group],
        arrowprops=line if side == "left" else None,
    )


def shifts(axes: Any, heights: list[float], gap: float = 13.0) -> list[float]:
    """By how many points labels move up, so that none covers another."""
    points = 72.0 / axes.figure.dpi
    wanted = [axes.transData.transform((1.0, y))[1] * points for y in heights]
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    placed: dict[int, float] = {}
    for rank, i in enumerate(order):
        below = placed[order[rank - 1]] + gap if rank else wanted[i]
        placed[i] = max(wanted[i], below)
    middle = sum(placed[i] - wanted[i] for i in order) / len(order)
    return [placed[i] - wanted[i] - middle for i in range(len(wanted))]


if __name__ == "__main__":
    draw(measured())
