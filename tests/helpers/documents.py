"""Runs the code blocks of a document and compares what they print."""

import pathlib
import re

import jax

ROOT = pathlib.Path(__file__).parents[2]


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
