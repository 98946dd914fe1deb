"""Golden rows where a definition has no golden.jsonl."""

import pytest

from onnxserve.definition import read_definition
from onnxserve.errors import DefinitionError
from onnxserve.scaffold import new_model
from onnxserve_export.faults import FaultList
from onnxserve_export.golden import TAKEN, read_golden, sampled_golden
from onnxserve_export.rows import split_rows
from onnxserve_export.subset import Row


@pytest.fixture
def definition(tmp_path):
    return read_definition(new_model("table", "circle", tmp_path / "models"))


def test_without_the_file_some_rows_are_golden_and_their_labels_are_no_promise(definition, tmp_path):
    (definition.folder / "golden.jsonl").unlink()
    assert read_golden(definition, FaultList()) == []
    split = split_rows([Row([number, 0.0], "inside") for number in range(40)], tmp_path)
    golden = sampled_golden(split)
    assert [row["label"] for row in golden] == [None] * TAKEN
    assert all(row["input"] in [row.value for row in split.certify] for row in golden)
    assert sampled_golden(split_rows([], tmp_path)) == []


def test_golden_rows_are_of_every_size_and_of_other_subsets_where_certify_rows_are_few(tmp_path):
    split = split_rows([Row("x" * number, None) for number in range(1, 601)], tmp_path / "many")
    sizes = sorted(len(row["input"]) for row in sampled_golden(split))
    assert sizes[0] < 200
    assert sizes[-1] > 400
    few = split_rows([Row([number], None) for number in range(TAKEN)], tmp_path / "few")
    assert sorted(row["input"] for row in sampled_golden(few)) == [[number] for number in range(TAKEN)]


def test_a_file_without_lines_is_refused(definition):
    (definition.folder / "golden.jsonl").write_text("")
    with pytest.raises(DefinitionError, match=r"golden\.jsonl is empty"):
        read_golden(definition, FaultList())
