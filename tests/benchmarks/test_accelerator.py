"""The logic of the accelerator's script, with the processor in its place."""

import jax
import jax.numpy as jnp
import pytest

from tests.benchmarks import accelerator, every

DEVICE = jax.devices("cpu")[0]


def test_every_part_is_measured_and_the_gradients_agree():
    results = accelerator.measure(
        DEVICE,
        seconds=600.0,
        names=["disarm"],
        batches=(3, 5),
        rounds=2,
        of_trainer=lambda rounds: {"nvil": rounds},
    )
    gradients, steps = results["gradients"], results["steps"]
    assert [r["differs"] for r in gradients["rows"]] == [0.0]
    assert all(r["agrees"] for r in gradients["rows"])
    assert [list(r["seconds"]) for r in steps["rows"]] == [["3", "5"]]
    assert gradients["left_out"] == steps["left_out"] == []
    assert results["sampling"]["times_faster"] > 0
    assert results["trainer"] == {"nvil": 2}


def test_an_example_that_differs_counts_once():
    ours = {"a": jnp.ones((50, 3)), "b": jnp.ones(50)}
    theirs = ours | {"a": ours["a"].at[7].add(0.1)}
    assert accelerator.share_that_differs(ours, ours) == 0.0
    assert accelerator.share_that_differs(ours, theirs) == 1 / 50
    rounded = jax.tree.map(lambda x: x * (1.0 + 1e-4), ours)
    assert accelerator.share_that_differs(rounded, ours) == 0.0
    unknown = ours | {"b": ours["b"].at[:2].set(jnp.nan)}
    assert accelerator.share_that_differs(unknown, ours) == 2 / 50


def test_what_the_time_does_not_suffice_for_is_named(capsys):
    parts = accelerator.until(0.0, ["rebar", "arm"], lambda name: pytest.fail(name))
    assert parts == {"rows": [], "left_out": ["rebar", "arm"]}
    assert "left out, for want of time: rebar, arm" in capsys.readouterr().out


def test_without_an_accelerator_it_says_so(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(jax, "devices", lambda *_: [DEVICE])
    monkeypatch.setattr("sys.argv", ["accelerator", "--output", str(tmp_path / "a")])
    accelerator.main()
    assert capsys.readouterr().out.startswith("JAX finds no accelerator here")
    assert not (tmp_path / "a").exists()


def test_the_table_is_written_between_its_marks(tmp_path):
    row = {
        "estimator": "arm",
        "kind": "bits",
        "calls": "2",
        "time": (1.5, 1.25, 1.75),
        "operations": 2.0,
        "memory": 1.25,
        "compile": 1.5,
    }
    page = tmp_path / "page.md"
    page.write_text(f"above\n{every.BEGIN}\nold\n{every.END}\nbelow\n")
    every.write_page(page, [row])
    lines = page.read_text().splitlines()
    assert lines[0] == "above"
    assert lines[-1] == "below"
    assert "old" not in lines
    assert "| `arm` | bits | 2 | 1.50 [1.25, 1.75] | 2.0 | 1.2 | 1.5 |" in lines
