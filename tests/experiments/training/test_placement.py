"""One run on one device, on four, and on two processes of two."""

import dataclasses
import json
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

from jaxdiscrete.experiments.cli import main
from jaxdiscrete.experiments.errors import UsageError
from jaxdiscrete.experiments.estimators.score_function import Rebar
from jaxdiscrete.experiments.tasks.generative.settings import Settings as Generative
from jaxdiscrete.experiments.tasks.table import make_task
from jaxdiscrete.experiments.training import step
from jaxdiscrete.experiments.training.placement import Placement, parse_mesh
from jaxdiscrete.experiments.training.settings import (
    Config,
    Evaluation,
    Optimizer,
    Training,
)
from tests.helpers.processes import environment

# Not Adam, whose first steps turn rounding of tiny gradients into whole steps.
CONFIG = Config(
    optimizer=Optimizer(name="sgd", momentum=0.0),
    model=Generative((4,)),
    training=Training(num_steps=6, batch_size=24, steps_per_block=6),
    evaluation=Evaluation(num_examples=20),
    estimator=Rebar(),
)
TIMINGS = ("steps_per_second", "seconds")
TOML = """
[model]
num_latents = [4]
[optimizer]
name = "sgd"
momentum = 0.0
[training]
num_steps = 8
batch_size = 24
steps_per_block = 4
blocks_per_checkpoint = 1
[evaluation]
num_examples = 20
num_samples = 2
num_test_examples = 20
[estimator]
name = "rebar"
"""


def trained(placement, config=CONFIG):
    task = make_task(config, placement)
    state = placement.jit(lambda: step.init(task))()
    data = task.data()
    program = step.compile_block(task, state, data)
    return program(state, data), program.as_text()


@pytest.mark.thorough
def test_a_mesh_changes_nothing_but_the_order_of_sums():
    one, _ = trained(Placement())
    many, program = trained(parse_mesh("data=4"))
    # Each device holds a part of the batch: 24 images over 4 devices.
    assert "f32[6,64]" in program
    assert "all-reduce" in program
    params, split = one[0].params, many[0].params
    assert all(x.sharding.is_fully_replicated for x in jax.tree.leaves(split))
    assert len(jax.tree.leaves(split)[0].sharding.device_set) == 4
    for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(split), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    for name, value in one[2].items():
        np.testing.assert_allclose(value, many[2][name], rtol=1e-4)


@pytest.mark.parametrize("text", ["8", "model=2", "data=", "data=0", "data=-1"])
def test_what_is_not_a_mesh(text):
    with pytest.raises(UsageError, match=r"Expected --mesh data=N .* For instance"):
        parse_mesh(text)


def test_more_devices_than_there_are():
    with pytest.raises(UsageError, match=r"N <= 4, the number of cpu devices, got 64"):
        parse_mesh("data=64")


def test_a_batch_that_does_not_split():
    training = dataclasses.replace(CONFIG.training, batch_size=22)
    config = dataclasses.replace(CONFIG, training=training)
    with pytest.raises(UsageError, match=r"multiple of the 4 devices .* got 22"):
        make_task(config, parse_mesh("data=4"))


def command(folder, *options, devices):
    code = "from jaxdiscrete.experiments.cli import main; raise SystemExit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, "train", "config.toml", *options],
        cwd=folder,
        env=environment(devices),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    output, _ = process.communicate(timeout=900)
    assert process.returncode == 0, output
    return output


def metrics(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def free_port():
    with socket.socket() as s:
        s.bind(("localhost", 0))
        return s.getsockname()[1]


@pytest.mark.thorough
def test_four_devices_and_two_processes_train_one_model(tmp_path):
    """The same metrics on one device, on four, and on two processes, also resumed."""
    path = tmp_path / "config.toml"
    path.write_text(TOML)
    for name, options in (("one", ()), ("four", ("--mesh", "data=4"))):
        folder = str(tmp_path / name)
        assert main(["train", str(path), "--output-dir", folder, *options]) == 0
    for length, resume in ((4, ()), (8, ("--resume",))):
        port = free_port()
        processes = [
            command(
                tmp_path,
                *("--output-dir", "two", "--mesh", "data=4", "--distributed"),
                *("--coordinator", f"localhost:{port}", "--num-processes", "2"),
                *("--process-id", str(i), "--training.num-steps", str(length)),
                *resume,
                devices=2,
            )
            for i in range(2)
        ]
        outputs = [finish(process) for process in processes]
        assert "Results in two" in outputs[0]
        assert "Results" not in outputs[1]
    expected = metrics(tmp_path / "one")
    bound = summary(tmp_path / "one")["metrics"]["test_bound"]
    for name in ("four", "two"):
        rows = metrics(tmp_path / name)
        assert [row["step"] for row in rows] == [4, 8]
        for row, other in zip(expected, rows, strict=True):
            for key in row.keys() - set(TIMINGS):
                np.testing.assert_allclose(row[key], other[key], rtol=1e-4)
        other_bound = summary(tmp_path / name)["metrics"]["test_bound"]
        np.testing.assert_allclose(bound, other_bound, rtol=1e-4)


def test_a_process_is_a_number(capsys):
    with pytest.raises(SystemExit) as left:
        main(["train", "x.toml", "--distributed", "--process-id", "one"])
    assert left.value.code == 2
    assert "process-id" in capsys.readouterr().err


def test_a_coordinator_alone_is_refused(tmp_path, capsys):
    path = tmp_path / "config.toml"
    path.write_text(TOML)
    code = main(["train", str(path), "--coordinator", "localhost:1"])
    assert code == 2
    assert "Expected --distributed with --coordinator" in capsys.readouterr().err
