"""Real data where there is some, and never a download from the internet."""

import os
from collections.abc import Callable
from pathlib import Path

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

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


@pytest.fixture(scope="module")
def cheap_programs(tmp_path_factory):
    """For tests that compile more than they compute: less optimised, and only once."""
    wanted = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("programs")),
        "jax_persistent_cache_min_compile_time_secs": 0.05,
    }
    before = {name: getattr(jax.config, name) for name in wanted}
    for name, value in wanted.items():
        jax.config.update(name, value)
    jax.config.update("jax_disable_most_optimizations", True)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_disable_most_optimizations", False)
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
