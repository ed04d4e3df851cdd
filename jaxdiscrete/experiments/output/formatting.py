"""The one way in which numbers, metrics and lengths of time are printed."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable
from typing import Any

from jaxdiscrete.experiments.output.records import Statistic

#: In place of a number that is missing.
MISSING = "–"  # noqa: RUF001
#: The logarithm of a variance of zero.
NO_VARIANCE = "-∞"
#: From here down a logarithm is that of zero: runs take that of float32's least number,
#: -87.3, to which that of the calls of f may be added.
_NO_VARIANCE_BELOW = -80.0
_MOST_DECIMALS = 7


@dataclasses.dataclass(frozen=True)
class Metric:
    """The facts of a metric that its value does not tell."""

    label: str
    """The name for people."""
    unit: str = ""
    """The unit, in words that follow the name; none for a pure number."""
    decimals: int | None = None
    """Digits behind the point. Default: four significant digits."""
    starts_far_off: bool = False
    """Its first tenth of training would hide all the rest of a curve."""
    spans_decades: bool = False
    """It is positive, and drawn on a logarithmic axis."""
    is_log_variance: bool = False
    """It is the logarithm of a variance, which may be zero."""
    short_label: str = ""
    """The name where there is little room. Default: the label."""


def _bounds() -> dict[str, Metric]:
    found: dict[str, Metric] = {}
    for part, name in (("train", "train"), ("valid", "valid."), ("test", "test")):
        for bound, words in (("elbo", "ELBO"), ("bound", "IW bound")):
            metric = Metric(f"{name} {words}", "nats", 2, starts_far_off=True)
            error = Metric(f"s.e. of {metric.label} over images", "nats", 2)
            found |= {f"{part}_{bound}": metric, f"{part}_{bound}_se": error}
    return found


#: Every metric that a run, a trajectory or a grid of estimators may have.
METRICS: dict[str, Metric] = _bounds() | {
    "epoch_objective": Metric("training objective over the last epoch", "nats", 2),
    "best_epoch_objective": Metric("best training objective over an epoch", "nats", 2),
    "test_accuracy": Metric("test accuracy"),
    "test_accuracy_se": Metric("s.e. of test accuracy over images"),
    "nll_oracle": Metric("NLL_oracle", "nats a word", 3, starts_far_off=True),
    "nll_oracle_se": Metric("s.e. of NLL_oracle over samples", "nats a word", 3),
    "nll_test": Metric("NLL_test", "nats a word", 3, starts_far_off=True),
    "forward_perplexity": Metric("forward perplexity", decimals=1),
    "reverse_perplexity": Metric("reverse perplexity", decimals=1),
    "test_perplexity": Metric("test perplexity", decimals=1),
    "valid_perplexity": Metric("valid. perplexity", starts_far_off=True, decimals=1),
    "grammatical": Metric("share of sentences of the language", decimals=3),
    "divergence": Metric("KL(language, model)", "nats", 3),
    "distinct": Metric("share of distinct samples", decimals=3),
    "novel": Metric("share of novel samples", decimals=3),
    "words": Metric("words a sample", decimals=2),
    "discriminator_accuracy": Metric("accuracy of the discriminator", decimals=3),
    "objective": Metric("training objective", "nats", short_label="train obj."),
    "hard_objective": Metric("objective of hard masks", "nats", short_label="obj."),
    "test_objective": Metric("test objective", "nats", short_label="test obj."),
    "test_objective_se": Metric("s.e. of test objective over images", "nats"),
    "objective_gap": Metric("training minus test objective", "nats"),
    "share": Metric("share that is shown"),
    "test_share": Metric("share that is shown of test images", short_label="share"),
    "accuracy": Metric("accuracy under masks"),
    "valid_accuracy": Metric("validation accuracy", short_label="valid. acc."),
    "ink": Metric("share of the digit that is seen"),
    "test_ink": Metric("share of the digit that is seen", short_label="seen"),
    "test_auroc": Metric("test AUROC"),
    "test_auprc": Metric("test AUPRC"),
    "unmasked_accuracy": Metric("test accuracy without masks"),
    "predictor_loss": Metric("the predictor's training loss", "nats"),
    "predictor_loss_epoch_10": Metric("the predictor's loss, tenth epoch", "nats"),
    "predictor_accuracy": Metric("the predictor's training accuracy"),
    "predictor_accuracy_epoch_10": Metric("the predictor's accuracy, tenth epoch"),
    "evaluator_loss": Metric("the evaluator's training loss", "nats"),
    "evaluator_loss_epoch_10": Metric("the evaluator's loss, tenth epoch", "nats"),
    "evaluator_accuracy": Metric("the evaluator's training accuracy"),
    "evaluator_accuracy_epoch_10": Metric("the evaluator's accuracy, tenth epoch"),
    "test_cross_entropy": Metric("test cross-entropy", "nats", short_label="test CE"),
    "entropy": Metric("entropy of the labels", "nats"),
    "excess": Metric("cross-entropy above the entropy", "nats", short_label="excess"),
    "excess_se": Metric("s.e. of that over rows", "nats"),
    "mismatch": Metric("cross-entropy of hard masks above training's", "nats"),
    "median_rank": Metric("median rank of what matters", short_label="rank"),
    "loss": Metric("loss"),
    "theta": Metric("theta"),
    "episodes": Metric("episodes until solved", decimals=0, short_label="episodes"),
    "solved": Metric("share of solved runs", decimals=2, short_label="solved"),
    "reward": Metric("reward", decimals=1),
    "log_variance": Metric(
        "log variance", decimals=2, is_log_variance=True, short_label="log var."
    ),
    "encoder_log_variance": Metric(
        "encoder log variance", decimals=2, is_log_variance=True
    ),
    "mean_log_variance": Metric(
        "log variance of the means", decimals=2, is_log_variance=True
    ),
    "log_scale_log_variance": Metric(
        "log variance of the log scales", decimals=2, is_log_variance=True
    ),
    "log_variance_times_calls": Metric(
        "log variance at equal calls of f", decimals=2, is_log_variance=True
    ),
    "bias": Metric("bias", spans_decades=True),
    "bias_in_standard_errors": Metric("bias in standard errors", decimals=2),
    "exponent": Metric("exponent of the gradient's norm", decimals=2),
    "variance_ratio": Metric("ratio of variances at two offsets"),
    "gradient_norm": Metric("norm of the gradient, r.m.s.", spans_decades=True),
    "variance": Metric("variance of the gradient", spans_decades=True),
    "epoch": Metric("epoch", decimals=2),
    "steps_per_second": Metric("steps per second", short_label="steps/s"),
    "seconds": Metric("time", "s", 1, short_label="time (s)"),
}


def find_metric(name: str) -> Metric:
    """The declared metric, or for another name its words and four digits.

    Behind ``@`` stands the inverse temperature at which samples were drawn.
    """
    base, _, alpha = name.partition("@")
    found = METRICS.get(base) or Metric(base.replace("_", " "))
    if not alpha:
        return found
    return dataclasses.replace(
        found, label=f"{found.label} at alpha {alpha}", short_label=""
    )


def has_no_variance(name: str, value: float) -> bool:
    """Tells whether a value is the logarithm of a variance of zero."""
    return find_metric(name).is_log_variance and value <= _NO_VARIANCE_BELOW


def in_order(names: Iterable[str]) -> list[str]:
    """Metrics in the order in which they are declared, the others behind them."""
    order = {name: i for i, name in enumerate(METRICS)}
    return sorted(names, key=lambda name: order.get(name.partition("@")[0], len(order)))


def label(name: str) -> str:
    """A metric's name for people: ``test_elbo`` is "test ELBO"."""
    return find_metric(name).label


def short_label(name: str) -> str:
    """A metric's name where there is little room: "log var."."""
    metric = find_metric(name)
    return metric.short_label or metric.label


def as_given(value: float | None) -> str:
    """A number with the digits that it has, for instance "-4.2" or "50,000"."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{int(value):,}" if value == int(value) else repr(float(value))


def number(value: float | None, metric: str) -> str:
    """A measured number with the decimals of its metric."""
    if value is None or not math.isfinite(value):
        return MISSING
    if has_no_variance(metric, value):
        return NO_VARIANCE
    decimals = find_metric(metric).decimals
    if decimals is not None:
        return _fixed(value, decimals)
    if isinstance(value, int) or abs(value) >= 1000:
        return _fixed(value, 0)
    return f"{value:.4g}"


def statistic(value: Statistic | None, metric: str) -> str:
    """A mean with its standard error, for instance "-4.31 ± 0.02".

    Both have the decimals of the metric, or as many as show the error's first digit;
    where the metric has none, as many as show the error's first two digits.
    """
    if value is None:
        return MISSING
    mean, error = value.mean, value.standard_error
    if error is None or not math.isfinite(mean) or not math.isfinite(error):
        return number(mean, metric)
    if has_no_variance(metric, mean):
        return NO_VARIANCE
    if error <= 0:
        return f"{number(mean, metric)} ± 0"
    leading = -math.floor(math.log10(error))
    declared = find_metric(metric).decimals
    if declared is not None:
        decimals = min(max(declared, leading), _MOST_DECIMALS)
    elif leading < _MOST_DECIMALS:
        decimals = max(leading + 1, 0)
    else:
        size = math.floor(math.log10(abs(mean))) if mean else -leading
        return f"{mean:.{max(size + leading + 1, 1)}e} ± {error:.1e}"
    return f"{_fixed(mean, decimals)} ± {_fixed(error, decimals)}"


def setting(value: Any) -> str:
    """A value of a configuration: strings as they are, the rest as JSON."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)


def duration(seconds: float | None) -> str:
    """A measured time in its two largest units, for instance "13 min 32 s"."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def rough_duration(hours: float) -> str:
    """An estimated time, for instance "about 3.1 hours" or "about 36 seconds"."""
    if hours >= 1:
        return f"about {hours:.1f} hours"
    if hours * 60 >= 1:
        return f"about {count(round(hours * 60), 'minute')}"
    return f"about {count(round(hours * 3600), 'second')}"


def count(how_many: int, noun: str) -> str:
    """A number of things, for instance "1 seed" or "3 seeds"."""
    return f"{how_many:,} {noun}{'' if how_many == 1 else 's'}"


def _fixed(value: float, decimals: int) -> str:
    text = f"{value:,.{decimals}f}"
    is_zero = not text.strip("-0.,")
    return text.removeprefix("-") if is_zero else text
