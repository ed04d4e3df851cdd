"""TensorBoard event files."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

from tensorboardX import SummaryWriter

EVENT_FOLDER = "tensorboard"


class EventFile:
    """Scalars of one run by step; a context that closes the file.

    Args:
      folder: of the run.
      first_step: what an earlier, interrupted file has after it is hidden.
      is_writer: whether anything is written. Default: yes.
    """

    def __init__(self, folder: Path, first_step: int, is_writer: bool = True) -> None:
        self._writer = SummaryWriter(
            str(folder / EVENT_FOLDER),
            purge_step=first_step + 1,
            write_to_disk=is_writer,
        )

    def __enter__(self) -> EventFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.close()

    def write(self, row: dict[str, Any]) -> None:
        """Writes the metrics of a block.

        Args:
          row: of ``metrics.jsonl``.
        """
        for name, value in row.items():
            if name != "step":
                self._writer.add_scalar(name, value, row["step"])
        self._writer.flush()
