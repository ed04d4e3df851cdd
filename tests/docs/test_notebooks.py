"""What is stored of each notebook is whole, and it still runs from top to bottom."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FUNCTION = re.compile(r"^def .*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
DEVICE = re.compile(
    r"\b(devices|device_put|default_device|cuda|gpu|tpu)\b", re.IGNORECASE
)
HOME_PATH = re.compile(r"/home/|/root/|/Users/|/tmp/|[A-Z]:\\")

pytestmark = pytest.mark.skipif(
    not NOTEBOOKS, reason="notebooks/ is not part of a source distribution"
)


def code_cells(path):
    cells = json.loads(path.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def texts(cell):
    """Everything a reader sees of the outputs, images apart."""
    for output in cell["outputs"]:
        yield "".join(output.get("text", []))
        yield "".join(output.get("traceback", []))
        yield "".join(output.get("data", {}).get("text/plain", []))


def assert_clean(path):
    """Every cell ran, in order, without an error or a warning, and shows its output."""
    cells = code_cells(path)
    assert [cell["execution_count"] for cell in cells] == [
        i + 1 for i in range(len(cells))
    ]
    for cell in cells:
        source = "".join(cell["source"])
        outputs = cell["outputs"]
        seen = "\n".join(texts(cell))
        assert all(o["output_type"] != "error" for o in outputs), seen
        assert all(o.get("name") != "stderr" for o in outputs), seen
        if "print(" in FUNCTION.sub("", source):
            assert any(o.get("name") == "stdout" for o in outputs), source
        if "plt.show()" in source:
            assert any("image/png" in o.get("data", {}) for o in outputs), source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_are_complete(path):
    assert_clean(path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_of_the_machine_is_stored(path):
    document = json.loads(path.read_text())
    assert set(document["metadata"]) <= {"kernelspec", "language_info"}
    assert document["metadata"]["kernelspec"]["name"] == "python3"
    assert not any(cell["metadata"] for cell in document["cells"])
    for cell in document["cells"]:
        assert not HOME_PATH.search("".join(cell["source"]))
    for cell in code_cells(path):
        assert not HOME_PATH.search("\n".join(texts(cell)))
    assert path.stat().st_size < 1.5e6


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_on_any_device_and_says_that_a_cpu_is_enough(path):
    document = json.loads(path.read_text())
    assert "on a CPU" in "".join(document["cells"][0]["source"])
    for cell in code_cells(path):
        assert not DEVICE.search("".join(cell["source"]))


# Measurements take minutes.
SLOW = {"choosing_an_estimator", "continuous_variables", "hard_attention", "sequences"}
NEEDED = {"continuous_variables": ("numpyro", "sklearn")}
RUNS = [
    pytest.param(
        p,
        marks=pytest.mark.slow if p.stem in SLOW else pytest.mark.thorough,
        id=p.stem,
    )
    for p in NOTEBOOKS
]


@pytest.mark.parametrize("path", RUNS)
def test_notebook_runs(path, tmp_path):
    needed = NEEDED.get(path.stem, ())
    for module in ("nbclient", "nbformat", "ipykernel", "matplotlib", *needed):
        pytest.importorskip(module, reason=f"running a notebook needs {module}")
    copy = Path(shutil.copy(path, tmp_path))
    # Without a folder of real data, on the digits that are part of scikit-learn.
    if "JAXDISCRETE_DATA" not in os.environ:
        text = copy.read_text()
        copy.write_text(text.replace(r"Data(\"mnist", r"Data(\"digits"))
    # As a reader runs it: one device, and this checkout rather than an installed one.
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    search = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, search))
    environment["MPLCONFIGDIR"] = str(tmp_path)
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            "from nbclient.cli import main; main()",
            "--inplace",
            copy,
        ],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    assert_clean(copy)
