"""Real data where there is some, and never a download from the internet."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jaxdiscrete.experiments.data import FOLDER_VARIABLE, SOURCES
from jaxdiscrete.experiments.data.download import stored_files

_FOLDER = os.environ.get(FOLDER_VARIABLE)


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """The folder with the files of a set; skips the test where they are not."""

    def find(name: str) -> Path:
        if name not in SOURCES:
            return Path()
        if not _FOLDER:
            pytest.skip(f"needs real data: set {FOLDER_VARIABLE} to a folder with it")
        folder = Path(_FOLDER)
        for file in stored_files(name, folder):
            if not (folder / file.path).exists():
                pytest.skip(f"needs {folder / file.path}, which is not there")
        return folder

    return find
