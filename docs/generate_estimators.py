"""Writes docs/estimators.md from the facts of the package: ``make estimators``."""

import inspect
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import jaxdiscrete as jd
from jaxdiscrete.core.facts import ESTIMATORS, Facts
from jaxdiscrete.core.needs import PARAMETERS, SAMPLER

PAGE = pathlib.Path(__file__).parent / "estimators.md"
COSTS = json.loads((PAGE.parent / "costs.json").read_text())

HEAD = f"""\
# All estimators

Every one is `transform(f, ...)` and returns `estimate(key, q, *args) -> scalar`. K is
the number of samples, `num_samples=` or `num_states=`; q has n variables of C classes.
The column f says what f must offer: nothing, or a derivative in z, at hard values or
between them too. The column q says what every distribution in q must offer:
`Bernoulli` and `OneHotCategorical` offer all of it, `Subset` has no classes and no
mean, and a [sampler of your own](guides/own_samplers.md) offers what you write.

The column cost is measured: the floating-point operations of one compiled gradient, as
a multiple of those of `reinforce`, for {COSTS["problem"]}
(JAX {COSTS["jax"]}; `make costs`). XLA counts the body of a loop once; where a program
has one, the number is a lower bound.

This page is generated from the facts that stand with each estimator: `make estimators`
writes it.
"""

#: Title, introduction and members of each section; an estimator is in the first that
#: takes it.
SECTIONS: list[tuple[str, str, Callable[[Facts], bool]]] = [
    (
        "Bounds of several samples",
        "Of a log-weight in place of f. They return the bound, which is maximised:\n"
        "negate it to make a loss. Each gradient is unbiased for that of the bound\n"
        "of K samples (of K / 2 for `local_disarm`).",
        lambda facts: facts.family == "bounds",
    ),
    (
        "Solvers in place of a distribution",
        "For a pytree of scores and a solver, which may be a black box. Biased.",
        lambda facts: facts.family == "solvers",
    ),
    (
        "Biased",
        "f is differentiated through the sample.",
        lambda facts: not facts.is_unbiased,
    ),
    (
        "Unbiased, for any q",
        "Whatever can be sampled and scored.",
        lambda facts: facts.needs in (SAMPLER, PARAMETERS),
    ),
    (
        "Unbiased, for binary variables",
        "",
        lambda facts: facts.needs.num_classes == 2,
    ),
    (
        "Unbiased, for variables with finitely many classes",
        "",
        lambda facts: jd.Finite in facts.needs.protocols,
    ),
    (
        "Unbiased, for variables that can be relaxed or enumerated",
        "",
        lambda facts: True,
    ),
]
ORDER = [3, 6, 5, 4, 2, 0, 1]


def page() -> str:
    """The whole text."""
    members: dict[int, list[Facts]] = {i: [] for i in range(len(SECTIONS))}
    for name in sorted(ESTIMATORS, key=_position):
        facts = ESTIMATORS[name]
        takes = (i for i, section in enumerate(SECTIONS) if section[2](facts))
        members[next(takes)].append(facts)
    parts = [HEAD]
    for i in ORDER:
        title, introduction, _ = SECTIONS[i]
        parts += [f"\n## {title}\n\n"]
        if introduction:
            parts += [f"{introduction}\n\n"]
        parts += table(members[i])
    return "".join(parts)


def find(name: str) -> Any:
    """The public function of a name in the table of facts."""
    found: Any = jd
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _position(name: str) -> tuple[str, str]:
    return ESTIMATORS[name].family, name


def table(members: list[Facts], *, anchors: bool = False) -> Iterator[str]:
    """The rows of some estimators; with anchors their names are links to docstrings."""
    yield "| estimator | what it is | calls of f | cost | f | q | reference |\n"
    yield "|---|---|---|---|---|---|---|\n"
    for facts in members:
        transform = find(facts.name)
        sentence = (inspect.getdoc(transform) or "").splitlines()[0].rstrip(".")
        sentence = sentence.removeprefix("Biased: ")
        cells = [
            _cell(facts.name, _call(facts.name, transform), anchors),
            sentence,
            facts.calls.formula,
            _cost(facts.name),
            _of_f(facts),
            _of_q(facts),
            facts.reference,
        ]
        yield "| " + " | ".join(cells) + " |\n"


def _cell(name: str, call: str, anchors: bool) -> str:
    return f"[`{call}`](#jaxdiscrete.{name})" if anchors else f"`{call}`"


def _call(name: str, transform: Callable[..., Any]) -> str:
    """How it is written, with the arguments that have no default."""
    words = []
    for p in inspect.signature(transform).parameters.values():
        if p.kind is p.POSITIONAL_OR_KEYWORD:
            words.append(p.name)
        elif p.default is p.empty:
            words.append(f"{p.name}=")
    return f"{name}({', '.join(words)})"


def _cost(name: str) -> str:
    if name not in COSTS["flops"]:
        raise KeyError(
            f"Expected the cost of {name} in docs/costs.json: run make costs."
        )
    return COSTS["flops"][name]


def _of_f(facts: Facts) -> str:
    if facts.is_relaxed:
        return "differentiable, between the hard values too"
    return "differentiable" if facts.differentiates else "anything"


def _of_q(facts: Facts) -> str:
    if facts.family == "solvers":
        return "scores"
    if facts.needs is PARAMETERS:
        return "`Sampler`, a pytree of its parameters"
    names = [f"`{protocol.__name__}`" for protocol in facts.needs.protocols]
    text = ", ".join(names) or "`Sampler`"
    number = facts.needs.num_classes
    return text if number is None else f"{text} of {number} classes"


if __name__ == "__main__":
    PAGE.write_text(page())
