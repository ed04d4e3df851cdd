"""Runs the code blocks of a document and compares what they print."""

import pathlib
import re

import jax

ROOT = pathlib.Path(__file__).parents[2]
#: Every page; none where tests run without the repository around them.
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def names(path):
    """What the page calls in the library, apart from fences of no language."""
    text = re.sub(r"^```\n.*?^```$", "", path.read_text(), flags=re.M | re.S)
    return set(re.findall(r"\bjd\.(\w+)", text))


def links(path):
    """The files that the page links to, and pictures that it shows."""
    found = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text())
    return [path.parent / link for link in found if "://" not in link]


def run_document(path):
    """Executes every python block in one namespace; text blocks are their output."""
    blocks = re.findall(
        r"```python\n(.*?)```(?:\s*```text\n(.*?)```)?", path.read_text(), re.DOTALL
    )
    namespace = {}
    # Users do not run with strict promotion, and examples should not have to.
    with (
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
    ):
        for code, output in blocks:
            lines = []
            namespace["print"] = lambda *a, lines=lines: lines.append(
                " ".join(str(x) for x in a)
            )
            exec(compile(code, path.name, "exec"), namespace)
            if output:
                assert "\n".join(lines).split() == output.split()
    return len(blocks)
