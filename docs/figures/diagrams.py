"""Draws how_it_works.svg and which_estimator.svg: boxes, arrows and words."""

import itertools
import pathlib
from typing import Any

import matplotlib
from matplotlib.patches import FancyBboxPatch

matplotlib.use("agg")
import matplotlib.pyplot as plt

HERE = pathlib.Path(__file__).parent
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#555555"
FONT = {"svg.hashsalt": "jaxdiscrete", "font.size": 9}


def canvas(width: float, height: float) -> tuple[Any, Any]:
    """A figure whose units are tenths of an inch, with y downwards."""
    figure = plt.figure(figsize=(width / 10, height / 10))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    return figure, axes


def height_of(text: str) -> float:
    """The height of a box, by its lines."""
    return 1.7 * (text.count("\n") + 1) + 1.4


def box(
    axes: Any, x: float, y: float, width: float, text: str, color: str, **style: Any
) -> None:
    """A box around its centre, as high as its lines."""
    height = height_of(text)
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.7",
            linewidth=1.2,
            edgecolor=color,
            facecolor="white",
        )
    )
    axes.text(x, y, text, ha="center", va="center", color="black", **style)


def arrow(
    axes: Any,
    start: tuple[float, float],
    end: tuple[float, float],
    color: str,
    text: str = "",
    shift: tuple[float, float] = (0.6, 0.0),
    bend: float = 0.0,
    dashed: bool = False,
) -> None:
    """From start to end, with words beside its middle."""
    style = {
        "arrowstyle": "-|>",
        "color": color,
        "linewidth": 1.3,
        "linestyle": "--" if dashed else "-",
        "connectionstyle": f"arc3,rad={bend}",
        "shrinkA": 0,
        "shrinkB": 0,
    }
    axes.annotate("", end, start, arrowprops=style)
    if text:
        x, y = (start[0] + end[0]) / 2 + shift[0], (start[1] + end[1]) / 2 + shift[1]
        axes.text(x, y, text, ha="left", va="center", color=color, fontsize=8)


def how_it_works() -> Any:
    """Forwards down the middle; backwards to the right and to the left."""
    figure, axes = canvas(74, 48)
    middle = 37
    steps = [
        (4, "key, q, args", GREY),
        (13, "draw z ~ q, stopped", GREY),
        (22, "f(z, *args), in plain JAX", BLUE),
        (31, "attach_gradient(value, q, g)", ORANGE),
        (40, "attach_objective(value, |g|²)", GREEN),
    ]
    for y, text, color in steps:
        box(axes, middle, y, 24, text, color)
    for (above, _, _), (below, _, _) in itertools.pairwise(steps):
        arrow(axes, (middle, above + 1.6), (middle, below - 1.6), GREY)
    arrow(axes, (middle, 41.6), (middle, 45), GREY)
    axes.text(middle, 46.2, "estimate, a scalar", ha="center", va="center")
    axes.text(10, 1.6, "jax.grad, backwards", ha="center", color=GREY, style="italic")
    axes.text(64, 1.6, "jax.grad, backwards", ha="center", color=GREY, style="italic")
    box(axes, 10, 22, 16, "what f closes over,\nand its arguments", BLUE)
    arrow(axes, (25, 22), (18, 22), BLUE, dashed=True)
    axes.text(
        10,
        27.2,
        va="center",
        s="exact derivative\nat the sample",
        ha="center",
        color=BLUE,
    )
    box(axes, 64, 13, 16, "parameters of q", ORANGE)
    arrow(axes, (49, 31), (64, 14.7), ORANGE, bend=0.35, dashed=True)
    axes.text(65, 22, "g, the\nestimated\ngradient", ha="left", color=ORANGE)
    box(axes, 64, 36, 16, "temperature, scale,\nbaseline, critic", GREEN)
    arrow(axes, (49, 40), (56, 37.6), GREEN, bend=0.15, dashed=True)
    axes.text(
        64, 41.2, va="center", s="gradient of\nthe variance", ha="center", color=GREEN
    )
    return figure


QUESTIONS = [
    ("Few joint states?", "exact"),
    ("A logarithm of a mean\nof weights?", "jd.bounds.vimco"),
    ("Decisions that follow\none another?", "jd.sequential, jd.program"),
    (
        "f with a derivative\nbetween the hard values?",
        "rebar\n(may be biased: gumbel_softmax)",
    ),
    (
        "f with a derivative\nat hard values only?",
        "double_cv\n(may be biased: reinmax, gumbel_rao)",
    ),
    ("Several calls of f,\nbinary variables?", "disarm, arms"),
    ("Several calls of f?", "reinforce_loo, unordered_set"),
]
LAST = "One call of f"


def which_estimator() -> Any:
    """Questions from top to bottom, answers to the right."""
    gap = 7.6
    figure, axes = canvas(70, gap * len(QUESTIONS) + 8)
    for i, (question, answer) in enumerate(QUESTIONS):
        y = 4 + gap * i
        box(axes, 15, y, 26, question, BLUE)
        box(axes, 52, y, 32, answer, GREEN, family="monospace", fontsize=8)
        arrow(axes, (28, y), (36, y), GREY)
        axes.text(32, y - 0.8, "yes", ha="center", va="bottom", color=GREY, fontsize=8)
        below = QUESTIONS[i + 1][0] if i + 1 < len(QUESTIONS) else LAST
        end = y + gap - height_of(below) / 2
        arrow(axes, (15, y + height_of(question) / 2), (15, end), GREY, "no")
    y = 4 + gap * len(QUESTIONS)
    box(axes, 15, y, 26, LAST, BLUE)
    box(axes, 52, y, 32, "nvil, relax", GREEN, family="monospace", fontsize=8)
    arrow(axes, (28, y), (36, y), GREY)
    return figure


if __name__ == "__main__":
    plt.rcParams.update(FONT)
    for draw in (how_it_works, which_estimator):
        drawn = draw()
        drawn.savefig(HERE / f"{draw.__name__}.svg", metadata={"Date": None})
