"""Real data where there is some, and configuration files of a test."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jaxdiscrete.experiments.data.download import FOLDER_VARIABLE, stored_files
from jaxdiscrete.experiments.data.load import DATASETS

_FOLDER = os.environ.get(FOLDER_VARIABLE)


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """The folder with the files of a set; skips the test where they are not."""

    def find(name: str) -> Path:
        source = DATASETS[name].source
        if source is None:
            return Path()
        if not _FOLDER:
            pytest.skip(f"needs real data: set {FOLDER_VARIABLE} to a folder with it")
        folder = Path(_FOLDER)
        for file in stored_files(source, folder):
            if not (folder / file.path).exists():
                pytest.skip(f"needs {folder / file.path}, which is not there")
        return folder

    return find


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a configuration file, and says where it is."""

    def write_toml(text: str) -> Path:
        path = tmp_path / "run.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_toml
