"""Images and curves, drawn without a display and written atomically."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from jaxdiscrete.experiments.files import replacing

Rows = list[dict[str, Any]]


def save_images(
    path: Path,
    images: np.ndarray,
    labels: list[str],
    title: str,
    shape: tuple[int, int],
) -> None:
    """Draws rows of images.

    Args:
      path: PNG file.
      images: ``[rows, columns, pixels]`` in [0, 1].
      labels: one a row, or none at all.
      title: above all of them.
      shape: height and width of an image.
    """
    rows, columns = images.shape[:2]
    figure = Figure(figsize=(0.7 * columns + 1.2, 0.7 * rows + 0.7))
    axes = figure.subplots(rows, columns, squeeze=False)
    for i, row in enumerate(axes):
        for j, ax in enumerate(row):
            image = images[i, j].reshape(shape)
            ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
        if labels:
            row[0].set_ylabel(labels[i], rotation=0, ha="right", va="center")
    figure.suptitle(title, fontsize=11)
    figure.tight_layout(pad=0.4, rect=(0, 0, 1, 0.98))
    _save(path, figure)


def save_curves(path: Path, runs: dict[str, Rows], title: str) -> None:
    """Draws ELBO and gradient variance against steps.

    Args:
      path: PNG file.
      runs: rows of metrics by the run's name; with a single run the training ELBO
        is drawn beside the validation ELBO.
      title: above both panels.
    """
    figure = Figure(figsize=(11, 4.4))
    elbo, variance = figure.subplots(1, 2)
    for i, (name, rows) in enumerate(runs.items()):
        steps = [row["step"] for row in rows]
        style = _style(i)
        if len(runs) == 1:
            train = [row["train_elbo"] for row in rows]
            elbo.plot(steps, train, label="train", color="C1")
        label = name if len(runs) > 1 else "validation"
        elbo.plot(steps, [row["valid_elbo"] for row in rows], label=label, **style)
        values = [row["log_variance"] for row in rows]
        variance.plot(steps, values, label=label, **style)
    which = "ELBO (nats)" if len(runs) == 1 else "validation ELBO (nats)"
    elbo.set(xlabel="step", ylabel=which)
    variance.set(xlabel="step", ylabel="ln variance of the model's gradient")
    _zoom(elbo, runs)
    for ax in (elbo, variance):
        ax.grid(alpha=0.3)
    if len(runs) > 1:
        handles, names = elbo.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside right center", frameon=False)
    else:
        elbo.legend(frameon=False)
    figure.suptitle(title)
    figure.set_layout_engine("constrained")
    _save(path, figure)


def save_study(path: Path, rows: Rows, critical: float) -> None:
    """Draws bias and log variance against temperature.

    Args:
      path: PNG file.
      rows: of the study; temperature None where there is none.
      critical: the critical temperature, drawn as a vertical line.
    """
    figure = Figure(figsize=(11, 4.4))
    bias, variance = figure.subplots(1, 2)
    temperatures = [r["temperature"] for r in rows if r["temperature"] is not None]
    span = [min(temperatures), max(temperatures)]
    for i, name in enumerate(dict.fromkeys(row["estimator"] for row in rows)):
        mine = [row for row in rows if row["estimator"] == name]
        is_flat, is_unbiased = mine[0]["temperature"] is None, mine[0]["is_unbiased"]
        x = span if is_flat else [row["temperature"] for row in mine]
        mine = mine * 2 if is_flat else mine
        style = {
            "color": f"C{i}",
            "linestyle": "--" if is_unbiased else "-",
            "marker": "" if is_flat else "o",
            "markersize": 4,
            "label": f"{name} (unbiased)" if is_unbiased else name,
        }
        errors = None if is_flat else [row["standard_error"] for row in mine]
        bias.errorbar(x, [row["bias"] for row in mine], errors, capsize=3, **style)
        variance.plot(x, [row["log_variance"] for row in mine], **style)
    bias.set(xscale="log", yscale="log", ylabel="|bias| of the gradient, ± s.e.")
    # Error bars of unbiased estimators reach zero, which a log axis does not have.
    bias.set_ylim(bottom=0.5 * min(row["bias"] for row in rows))
    variance.set(xscale="log", ylabel="ln variance of the gradient")
    for ax in (bias, variance):
        ax.axvline(critical, color="0.6", linestyle=":", zorder=0)
        ax.set_xlabel(f"temperature (dotted: critical, {critical:.3g})")
        ax.grid(alpha=0.3)
    handles, names = bias.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", frameon=False)
    figure.set_layout_engine("constrained")
    _save(path, figure)


def _style(i: int) -> dict[str, Any]:
    # Ten colours, then the same ten dashed.
    return {"color": f"C{i % 10}", "linestyle": "-" if i < 10 else "--"}


def _zoom(ax: Axes, runs: dict[str, Rows]) -> None:
    """Leaves the first tenth of training out of the vertical range."""
    keys = ("train_elbo", "valid_elbo") if len(runs) == 1 else ("valid_elbo",)
    values: list[float] = []
    for rows in runs.values():
        values += [row[key] for row in rows[len(rows) // 10 :] for key in keys]
    margin = 0.05 * (max(values) - min(values)) or 1.0
    ax.set_ylim(min(values) - margin, max(values) + margin)


def _save(path: Path, figure: Figure) -> None:
    FigureCanvasAgg(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=130)
