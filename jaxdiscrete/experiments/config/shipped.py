"""The configurations that come with the project, and how their names are found."""

from __future__ import annotations

from pathlib import Path


def _folder() -> Path:
    """In the wheel beside the modules, in a clone at its root."""
    packaged = Path(__file__).parents[1] / "configs"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "configs"


#: Folder of the configurations and of the published numbers.
CONFIGS = _folder()


def find_config(name: str | Path, configs: Path = CONFIGS) -> Path:
    """The file that a name stands for.

    Args:
      name: path of a file, or of one below ``configs``, with or without ``.toml``.
      configs: folder of named configurations. Default: those of the project.

    Returns:
      The path of a file that is there, a path before a name; else the path as given.
    """
    for path in (Path(name), configs / name, configs / f"{name}.toml"):
        if path.is_file():
            return path
    return Path(name)
