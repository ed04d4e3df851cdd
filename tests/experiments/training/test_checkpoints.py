"""Checkpoints that were cut, damaged or written by something else; killed runs."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiscrete.experiments.cli import main
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.training import checkpoints
from jaxdiscrete.experiments.training.state import TrainState, init_moments
from tests.experiments.helpers import restore


def state(step, value=0.0):
    params = {"model": {"w": jnp.full((3,), value)}, "control_variate": {}}
    moments = init_moments(params["model"])
    return TrainState(jnp.asarray(step, jnp.int32), params, (), moments)


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_the_newest_two_are_kept(tmp_path):
    assert not checkpoints.has_checkpoint(tmp_path)
    assert checkpoints.newest(tmp_path) is None
    with pytest.raises(UsageError, match="got none: the run ended before its first"):
        checkpoints.restore(tmp_path, state(0))
    for step in (2, 4, 6):
        checkpoints.save(tmp_path, state(step, step / 7))
    assert checkpoints.has_checkpoint(tmp_path)
    assert checkpoints.newest(tmp_path) == tmp_path / "checkpoints" / "6"
    assert_same(checkpoints.restore(tmp_path, state(0)), state(6, 6 / 7))
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert names == {"4", "6"}
    shutil.rmtree(tmp_path / "checkpoints" / "6")
    assert_same(checkpoints.restore(tmp_path, state(0)), state(4, 4 / 7))


def test_one_without_a_checksum_does_not_count_and_is_written_again(tmp_path):
    """What a process leaves that ends between checkpoint and checksum."""
    checkpoints.save(tmp_path, state(2, 0.2))
    before = (tmp_path / "checkpoints.json").read_bytes()
    checkpoints.save(tmp_path, state(4, 0.4))
    (tmp_path / "checkpoints.json").write_bytes(before)
    assert_same(checkpoints.restore(tmp_path, state(0)), state(2, 0.2))
    checkpoints.save(tmp_path, state(4, 0.5))
    assert_same(checkpoints.restore(tmp_path, state(0)), state(4, 0.5))


def test_a_half_written_one_does_not_count(tmp_path):
    """What a process leaves that ends while it writes."""
    checkpoints.save(tmp_path, state(2, 0.2))
    half = tmp_path / "checkpoints" / "4.orbax-checkpoint-tmp-0"
    shutil.copytree(tmp_path / "checkpoints" / "2", half)
    assert_same(checkpoints.restore(tmp_path, state(0)), state(2, 0.2))
    checkpoints.save(tmp_path, state(4, 0.4))
    assert_same(checkpoints.restore(tmp_path, state(0)), state(4, 0.4))


@pytest.mark.parametrize("kind", ["missing", "extra", "renamed"])
def test_a_checkpoint_whose_files_changed_is_refused(tmp_path, kind):
    checkpoints.save(tmp_path, state(2))
    folder = tmp_path / "checkpoints" / "2"
    files = [p for p in folder.rglob("*") if p.is_file()]
    path = max(files, key=lambda p: p.stat().st_size)
    if kind == "missing":
        path.unlink()
    elif kind == "extra":
        (folder / "note.txt").write_text("mine")
    else:
        path.rename(path.with_name("other"))
    with pytest.raises(UsageError, match=rf"{folder}.*its checksum differs"):
        checkpoints.restore(tmp_path, state(0))


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    """Intact, but not of this model: other shapes, or not from here at all."""
    checkpoints.save(tmp_path, state(2))
    larger = state(0)._replace(
        params={"model": {"v": jnp.zeros(5)}, "control_variate": {}}
    )
    with pytest.raises(UsageError, match="cannot be restored") as info:
        checkpoints.restore(tmp_path, larger)
    assert "\n" not in str(info.value)
    foreign = tmp_path / "foreign"
    (foreign / "checkpoints" / "2").mkdir(parents=True)
    (foreign / "checkpoints" / "2" / "weights.bin").write_bytes(b"\0" * 100)
    checksum = checkpoints._checksum(foreign / "checkpoints" / "2")
    (foreign / "checkpoints.json").write_text(json.dumps({"2": checksum}))
    with pytest.raises(UsageError, match="cannot be restored"):
        checkpoints.restore(foreign, state(0))


# Killed runs

NUM_STEPS = 16
MANY = f"""
[model]
num_latents = [2]
[training]
num_steps = {NUM_STEPS}
batch_size = 50
steps_per_block = 1
blocks_per_checkpoint = 1
[evaluation]
num_samples = 2
num_examples = 20
num_test_examples = 20
[estimator]
name = "nvil"
"""


POLICY = f"""
[model]
task = "policy"
max_decisions = 10
[training]
num_steps = {NUM_STEPS}
batch_size = 1
steps_per_block = 1
blocks_per_checkpoint = 1
[estimator]
name = "relax"
critic_hidden = [3]
"""

TEXT = f"""
[data]
name = "agreement"
[model]
task = "text"
embedding = 4
hidden = 4
discriminator_embedding = 4
discriminator_hidden = 4
start_steps = 20
start_batch_size = 4
start_block = 1
[training]
num_steps = {NUM_STEPS}
batch_size = 4
steps_per_block = 1
blocks_per_checkpoint = 1
[evaluation]
num_examples = 4
num_test_examples = 4
[estimator]
name = "reinforce_loo"
num_samples = 4
"""


CLASSIFIER = """
hidden = [4]
num_epochs = 1
batch_size = 500
"""
ATTENTION = f"""
[data]
name = "digits"
binarization = "none"
[model]
task = "attention"
hidden = [4]
mask = [2, 2]
[model.predictor]{CLASSIFIER}
[model.evaluator]{CLASSIFIER}seed = 1
[training]
num_steps = {NUM_STEPS}
batch_size = 50
steps_per_block = 1
blocks_per_checkpoint = 1
[evaluation]
num_samples = 2
num_examples = 20
num_test_examples = 200
[estimator]
name = "rebar"
"""


FEATURES = f"""
[model]
task = "feature_selection"
hidden = [4]
predictor_hidden = [4]
[training]
num_steps = {NUM_STEPS}
batch_size = 10
steps_per_block = 1
blocks_per_checkpoint = 1
[evaluation]
num_samples = 1
num_examples = 20
num_test_examples = 20
[estimator]
name = "reinforce_loo"
"""


GLIMPSES = f"""
[data]
name = "digits"
binarization = "none"
[model]
task = "glimpses"
canvas = [10, 10]
num_fragments = 1
fragment = 3
grid = [2, 2]
glimpse = 4
num_glimpses = 2
features = 4
hidden = 4
[training]
num_steps = {NUM_STEPS}
batch_size = 10
steps_per_block = 1
blocks_per_checkpoint = 1
[evaluation]
num_samples = 2
num_examples = 20
num_test_examples = 20
[estimator]
name = "nvil"
baseline_hidden = [4]
"""


REGRESSION = f"""
[model]
task = "logistic_regression"
num_gradients = 2
[training]
num_steps = {NUM_STEPS}
batch_size = 10
steps_per_block = 1
blocks_per_checkpoint = 1
[evaluation]
num_samples = 2
[optimizer]
name = "sgd"
learning_rate = 1e-5
[estimator]
name = "nvil"
input_baseline = false
"""


def start(path, folder, cache, *extra):
    code = "import sys; from jaxdiscrete.experiments.cli import main; sys.exit(main())"
    args = ["train", path, "--output-dir", folder, *extra]
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        # The same programs as here, or bits would differ.
        env=os.environ
        | {
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.05",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def kill_when(process, is_moment):
    """SIGKILL at a moment; the process must be running until then."""
    limit = time.monotonic() + 300
    while not is_moment():
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < limit
        time.sleep(5e-4)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stderr.close()


def steps_of(folder):
    try:
        lines = (folder / "metrics.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return json.loads(lines[-1])["step"] if lines else 0


def is_writing(folder):
    """Whether a checkpoint is half written, which lasts milliseconds."""
    try:
        names = os.listdir(folder / "checkpoints")
    except FileNotFoundError:
        return False
    return any(not name.isdigit() for name in names)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(MANY, id="generative"),
        pytest.param(POLICY, id="policy", marks=pytest.mark.thorough),
        pytest.param(ATTENTION, id="attention", marks=pytest.mark.thorough),
        pytest.param(FEATURES, id="feature_selection", marks=pytest.mark.thorough),
        pytest.param(GLIMPSES, id="glimpses", marks=pytest.mark.thorough),
        pytest.param(REGRESSION, id="logistic_regression", marks=pytest.mark.thorough),
        pytest.param(TEXT, id="text", marks=pytest.mark.thorough),
    ],
)
@pytest.mark.thorough
def test_a_run_that_is_killed_goes_on_bit_for_bit(text, tmp_path, monkeypatch):
    """Twice: within the writing of a checkpoint, and after one."""
    monkeypatch.setenv("JAXDISCRETE_CACHE", str(tmp_path / "kept"))
    path, cache = tmp_path / "many.toml", jax.config.jax_compilation_cache_dir
    path.write_text(text)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main(["train", str(path), "--output-dir", str(whole)]) == 0

    process = start(path, killed, cache)
    kill_when(process, lambda: steps_of(killed) >= 3 and is_writing(killed))
    first, newest = steps_of(killed), checkpoints.newest(killed)

    process = start(path, killed, cache, "--resume")
    kill_when(process, lambda: checkpoints.newest(killed) not in (newest, None))
    assert 3 <= first <= steps_of(killed) < NUM_STEPS

    assert main(["train", str(path), "--output-dir", str(killed), "--resume"]) == 0

    assert_same(restore(path, whole), restore(path, killed))
    rows = [
        [json.loads(line) for line in (f / "metrics.jsonl").read_text().splitlines()]
        for f in (whole, killed)
    ]
    assert [row["step"] for row in rows[0]] == list(range(1, NUM_STEPS + 1))
    for a, b in itertools.zip_longest(*rows):
        for row in (a, b):
            assert row.pop("seconds") > 0 < row.pop("steps_per_second")
        assert a == b


@pytest.mark.thorough
def test_a_run_that_is_killed_in_its_start_begins_with_the_same(tmp_path, monkeypatch):
    """Nothing of the run is there yet, and the start goes on where it was."""
    path, cache = tmp_path / "text.toml", jax.config.jax_compilation_cache_dir
    path.write_text(TEXT)
    found = []
    for name in ("whole", "killed"):
        kept, folder = tmp_path / f"{name}-kept", tmp_path / name
        monkeypatch.setenv("JAXDISCRETE_CACHE", str(kept))
        if name == "killed":
            process = start(path, folder, cache)
            kill_when(
                process, lambda kept=kept: any(map(steps_of, kept.glob("language*")))
            )
            (of_start,) = kept.glob("language_model-*")
            assert 0 < steps_of(of_start) < 20
            assert not folder.exists()
        assert main(["train", str(path), "--output-dir", str(folder)]) == 0
        (of_start,) = kept.glob("language_model-*")
        assert steps_of(of_start) == 20
        found.append(restore(path, folder))
    assert_same(*found)
