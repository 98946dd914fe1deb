"""Fields of a definition as a program gives them."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxserve.api.definition_fields import definition_fields, rows_place


def test_only_what_is_given_is_a_field_and_a_kind_may_stand_for_its_section():
    assert definition_fields() == {}
    given = definition_fields(
        name="a", input="text", output={"task": "raw"}, budget=0.0, quantise={"variants": ["fp32"]}
    )
    assert given == {
        "name": "a",
        "input": {"kind": "text"},
        "output": {"task": "raw"},
        "quantise": {"variants": ["fp32"], "max_accuracy_drop": 0.0},
    }


@pytest.mark.parametrize("place", ["s3://bucket/rows.parquet", "model.py:rows", "predictions:reviews/1.0.0"])
def test_what_is_no_path_of_this_machine_stays_as_it_is(place):
    assert rows_place(place) == place


def test_a_path_does_not_depend_on_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert rows_place(Path("rows.csv")) == rows_place("rows.csv") == str(tmp_path / "rows.csv")
