"""Two processes and one folder."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from jaxdiscrete.experiments.errors import RunError, UsageError
from jaxdiscrete.experiments.output import folder as files
from jaxdiscrete.experiments.output import lock

HOLD = """
import sys, time
from pathlib import Path
from jaxdiscrete.experiments.output import lock
with lock.held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds a folder, which it can only be killed out of."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_process_is_told_the_first_and_takes_over_when_it_dies(
    holder, tmp_path
):
    (tmp_path / files.CONFIG_FILE).write_text("{}")
    told = rf"process {holder.pid} on {socket.gethostname()}, since 2\d{{3}}-"
    for resume, overwrite in ((True, False), (False, True)):
        with (
            pytest.raises(UsageError, match=told),
            files.open_folder(tmp_path, {}, resume=resume, overwrite=overwrite),
        ):
            pass
    assert (tmp_path / files.CONFIG_FILE).read_text() == "{}"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / lock.HOLDER_FILE).exists()
    with files.open_folder(tmp_path, {}, resume=True, overwrite=False):
        assert f'"process": {os.getpid()}' in (tmp_path / lock.HOLDER_FILE).read_text()
    assert not (tmp_path / lock.HOLDER_FILE).exists()


def test_one_process_that_trains_twice_in_a_folder_is_told_too(tmp_path):
    told = f"process {os.getpid()} .*stop it, or choose another --output-dir"
    with lock.held(tmp_path):
        with pytest.raises(UsageError, match=told), lock.held(tmp_path):
            pass
        (tmp_path / lock.HOLDER_FILE).write_text("[")
        with pytest.raises(UsageError, match="another process"), lock.held(tmp_path):
            pass
    with lock.held(tmp_path):
        pass


def test_overwriting_keeps_the_lock_that_others_wait_for(tmp_path):
    run = tmp_path / "run"
    with files.open_folder(run, {"a": 1}, resume=False, overwrite=False):
        (run / "checkpoints").mkdir()
        (run / "checkpoints" / "1").write_text("old")
    before = (run / lock.LOCK_FILE).stat().st_ino
    with files.open_folder(run, {"a": 2}, resume=False, overwrite=True):
        assert (run / lock.LOCK_FILE).stat().st_ino == before
        with pytest.raises(UsageError, match="for this process alone"), lock.held(run):
            pass
    left = {path.name for path in run.iterdir()}
    assert left <= {files.CONFIG_FILE, lock.LOCK_FILE}


def test_a_run_does_not_write_into_the_folder_that_took_its_place(tmp_path):
    run, aside = tmp_path / "run", tmp_path / "aside"
    with files.open_folder(run, {}, resume=False, overwrite=False):
        lock.check_held(run)
        run.rename(aside)
        with pytest.raises(RunError, match="moved, deleted or replaced meanwhile"):
            lock.check_held(run)
        run.mkdir()
        other = '{"process": 1, "host": "elsewhere", "since": "now"}'
        (run / lock.HOLDER_FILE).write_text(other)
        with pytest.raises(RunError, match="moved, deleted or replaced meanwhile"):
            lock.check_held(run)
    assert (run / lock.HOLDER_FILE).read_text() == other
