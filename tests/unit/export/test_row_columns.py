"""Which columns of a file are rows, and which are labels."""

from __future__ import annotations

import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.row_columns import Wanted, choose_columns


def test_columns_of_a_model_that_knows_no_names_are_named_by_an_import():
    wanted = Wanted((), ("label",), ("x0", "x1"), numeric=True, kind="table")
    with pytest.raises(DefinitionError, match="missing columns: x0, x1") as refusal:
        choose_columns(("width", "full height", "label"), wanted, "rows.csv")
    assert "so import it with --columns 'width,full height'; or name a column of the file" in refusal.value.fix
    with pytest.raises(DefinitionError, match="several columns may be the input") as refusal:
        choose_columns(("a", "b", "label"), Wanted((), ("label",), (), numeric=False, kind="tensors"), "rows.csv")
    assert refusal.value.fix.endswith("import the model with --columns a,b")
