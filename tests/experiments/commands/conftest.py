"""Files of tiny runs, and one run that is finished."""

import shutil
from pathlib import Path

import pytest

from jaxdiscrete.experiments.cli import main
from tests.experiments.commands.helpers import NAMES, SEVERAL, TINY


@pytest.fixture(scope="session")
def configs(tmp_path_factory):
    """Three steps per epoch."""
    folder = tmp_path_factory.mktemp("configs")
    for name in ("rebar", "nvil", *NAMES):
        (folder / f"{name}.toml").write_text(f'{TINY}[estimator]\nname = "{name}"\n')
    (folder / "several.toml").write_text(SEVERAL)
    return folder


@pytest.fixture(scope="session")
def finished(configs, tmp_path_factory):
    """A run of eight steps in one go."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    args = ["train", str(configs / "nvil.toml"), "--output-dir", str(folder)]
    assert main(args) == 0
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    """A copy that a test may damage."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))
