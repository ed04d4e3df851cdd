"""Records to JSON and back, and files that hold something else."""

import dataclasses
import json
import math
from typing import Any, Literal

import pytest

from jaxdiscrete.experiments.output import codec
from jaxdiscrete.experiments.output.records import Statistic, SweepRun


@dataclasses.dataclass(frozen=True)
class Everything:
    """A record with a field of every kind."""

    name: str
    number: float
    count: int
    is_it: bool
    choice: Literal["a", "b"]
    maybe: float | None
    several: tuple[Statistic, ...]
    table: dict[str, tuple[int, ...]]
    settings: dict[str, Any]
    text: str = "default"


RECORD = Everything(
    name='"quoted" \N{EN DASH}',
    number=0.1,
    count=3,
    is_it=True,
    choice="b",
    maybe=None,
    several=(Statistic(1.0, 0.5, (1.0, 2.0)), Statistic(2.0, None, ())),
    table={"x": (1, 2), "y": ()},
    settings={"a": [1, "b", None, {"c": True}]},
)


def test_a_record_comes_back(tmp_path):
    codec.write(tmp_path / "record.json", RECORD)
    assert codec.read(tmp_path / "record.json", Everything) == RECORD
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]
    assert json.loads((tmp_path / "record.json").read_text()) == codec.to_plain(RECORD)


def test_sequences_and_tables_of_records(tmp_path):
    run = SweepRun("seed=0", 0, {"x": 1.0}, 5, 0.1, {"loss": 2.0})
    codec.write(tmp_path / "runs.json", [run, run])
    assert codec.read(tmp_path / "runs.json", tuple[SweepRun, ...]) == (run, run)
    codec.write(tmp_path / "runs.json", {"one": run})
    assert codec.read(tmp_path / "runs.json", dict[str, SweepRun]) == {"one": run}


def test_lists_of_numbers_take_one_line(tmp_path):
    codec.write(tmp_path / "x.json", {"steps": [1, 2], "none": {}, "runs": [{"a": 1}]})
    assert (tmp_path / "x.json").read_text() == (
        '{\n  "steps": [1, 2],\n  "none": {},\n  "runs": [\n    {\n      "a": 1\n'
        "    }\n  ]\n}\n"
    )


def test_numbers_that_json_has_not_come_back_as_nan(tmp_path):
    codec.write(tmp_path / "x.json", Statistic(math.nan, None, (math.inf,)))
    got = codec.read(tmp_path / "x.json", Statistic)
    assert math.isnan(got.mean)
    assert math.isnan(got.values[0])
    assert got.standard_error is None


def test_whole_numbers_are_floats_where_a_float_is_expected():
    got = codec.from_plain({"mean": 1, "standard_error": 2, "values": []}, Statistic)
    assert type(got.mean) is float
    assert type(got.standard_error) is float


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"number": "1"}, r"str instead of float at \$\.number"),
        ({"number": True}, r"bool instead of float at \$\.number"),
        ({"count": 1.5}, r"float instead of int at \$\.count"),
        ({"count": True}, r"bool instead of int at \$\.count"),
        ({"is_it": 1}, r"int instead of bool at \$\.is_it"),
        ({"choice": "c"}, r"str instead of one of 'a', 'b' at \$\.choice"),
        ({"several": {}}, r"dict instead of a list at \$\.several"),
        ({"several": [1]}, r"int instead of a table at \$\.several\[0\]"),
        ({"table": []}, r"list instead of a table at \$\.table"),
        ({"table": {"x": [None]}}, r"NoneType instead of int at \$\.table\.x\[0\]"),
        ({"other": 1}, r"unknown key 'other' at \$"),
    ],
)
def test_other_values_are_named_with_their_place(change, message):
    with pytest.raises(ValueError, match=message):
        codec.from_plain(codec.to_plain(RECORD) | change, Everything)


def test_missing_keys_have_their_default_or_are_named():
    plain = codec.to_plain(RECORD)
    plain.pop("text")
    assert codec.from_plain(plain, Everything).text == "default"
    plain.pop("count")
    with pytest.raises(ValueError, match=r"no 'count' at \$"):
        codec.from_plain(plain, Everything)


def test_a_cut_file_is_a_value_error(tmp_path):
    path = tmp_path / "x.json"
    codec.write(path, RECORD)
    path.write_text(path.read_text()[:50])
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        codec.read(path, Everything)
