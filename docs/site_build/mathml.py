"""Formulas become MathML when the site is built: browsers draw it without a script."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

#: A name such as log, which the converter leaves without the space of an operator.
FUNCTION = re.compile(
    r"<mi>(arcsin|arg|cos|exp|log|max|min|sin)</mi>(?=(<mo[^>]*>&#x00028;)?)"
)


def mathml(tex: str, *, block: bool) -> str:
    """One formula; a word that the converter does not know is an error."""
    known = tex.replace(r"\arg", r"\operatorname{arg}")
    markup = convert(known, display="block" if block else "inline")
    unknown = re.search(r"<m\w+[^>]*>(\\\w+)", markup)
    if unknown:
        raise ValueError(
            f"Expected TeX that MathML can show, got {unknown[1]} in: {tex}. "
            "Write it in other words."
        )
    return FUNCTION.sub(_operator, markup)


def _operator(match: re.Match[str]) -> str:
    after = "0" if match[2] else "0.167em"
    return f'<mo lspace="0.167em" rspace="{after}">{match[1]}</mo>'


def inline(self: Any, node: nodes.math) -> None:
    markup = mathml(node.astext(), block=False)
    self.body.append(f'<span class="inline-formula">{markup}</span>')
    raise nodes.SkipNode


def displayed(self: Any, node: nodes.math_block) -> None:
    markup = mathml(node.astext(), block=True)
    self.body.append(f'<div class="formula">{markup}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (inline, None), (displayed, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
