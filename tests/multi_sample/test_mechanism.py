"""Batch and samples on a mesh: one device, eight, and two processes of four."""

import json
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.helpers.processes import environment

SCRIPT = pathlib.Path(__file__).parents[1] / "scripts" / "sample_axis.py"


def start(num_devices, *arguments):
    return subprocess.Popen(
        [sys.executable, SCRIPT, *map(str, arguments)],
        env=environment(num_devices),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    return json.loads(output.splitlines()[-1])


def free_port():
    with socket.socket() as s:
        s.bind(("localhost", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="module")
def one_device():
    return finish(start(1, 1, 1))


def check(result, expected):
    assert set(result) == {"reinforce_loo", "vimco", "disarm"}
    for name, (value, gradient) in result.items():
        np.testing.assert_allclose(value, expected[name][0], rtol=1e-5)
        np.testing.assert_allclose(gradient, expected[name][1], rtol=1e-4, atol=1e-6)
        assert np.any(np.abs(gradient) > 1e-3)


@pytest.mark.thorough
def test_eight_devices(one_device):
    check(finish(start(8, 2, 4)), one_device)


@pytest.mark.thorough
def test_two_processes(one_device):
    port = free_port()
    processes = [start(4, 2, 4, port, 2, i) for i in range(2)]
    for result in [finish(p) for p in processes]:
        check(result, one_device)
