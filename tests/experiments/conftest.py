"""Real data where there is some."""

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
