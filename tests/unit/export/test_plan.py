"""What the rows allow is said before any work, and advice leaves out what was done already."""

from pathlib import Path

import pytest

from onnxserve.definition import Definition, read_definition
from onnxserve.errors import CheckFailed
from onnxserve.scaffold import new_model
from onnxserve_export.export_state import ExportState
from onnxserve_export.flip_estimate import mean_rows_needed, rows_needed, share_rows_needed
from onnxserve_export.mean_bound import mean_bound
from onnxserve_export.options import ExportOptions
from onnxserve_export.plan import advice, check_plan, describe_plan, make_plan, planned, rows_in_all
from onnxserve_export.rows import split_rows
from onnxserve_export.significance_levels import FIRST_LEVEL
from onnxserve_export.subset import Row
from onnxserve_handlers.registry import task_for


@pytest.fixture
def circle(tmp_path) -> Path:
    return new_model("table", "circle", tmp_path / "models")


def changed(folder: Path, old: str, new: str) -> Definition:
    toml = folder / "model.toml"
    assert old in toml.read_text()
    toml.write_text(toml.read_text().replace(old, new))
    return read_definition(folder)


def state_of(definition: Definition, tmp_path: Path, rows: int, options: ExportOptions) -> ExportState:
    state = ExportState(definition, tmp_path / "store", tmp_path, lambda _: None, options=options)
    pairs = [Row([number, 0.0], ("outside", "inside")[number % 2]) for number in range(rows)]
    state.split, state.task = split_rows(pairs, tmp_path / "rows"), task_for(definition.output)
    state.plan = planned(state)
    return state


def test_of_few_rows_only_fp32_is_made_and_how_many_would_do_is_said(circle, tmp_path):
    state = state_of(read_definition(circle), tmp_path, 30, ExportOptions())
    plan, certify = state.plan, len(state.split.certify)
    assert plan.variants == ("fp32",)
    assert plan.left == {"int8": f"{certify} certify rows can't certify it"}
    assert plan.needed == rows_needed(0.01, 0.0)
    text = "\n".join(describe_plan(plan, state.definition, state.split))
    assert f"wants {plan.needed} certify rows, about {plan.wanted} labelled rows in all" in text
    assert f"there are {certify} of 30" in text
    assert "fp32 needs none of them" in text
    assert "left out: int8" in text


def test_with_enough_rows_every_variant_is_made(circle, tmp_path):
    state = state_of(read_definition(circle), tmp_path, 2000, ExportOptions())
    assert state.plan.variants == ("int8", "fp32")
    assert (state.plan.left, state.plan.enough) == ({}, True)


def test_the_rows_in_all_leave_enough_certify_rows_in_nineteen_of_twenty_splits(tmp_path):
    count, enough = rows_in_all(100), 0
    for draw in range(200):
        split = split_rows([Row([draw, number], "a") for number in range(count)], tmp_path / str(draw))
        enough += len(split.certify) >= 100
    assert enough >= 180
    assert rows_in_all(0) == 0


def test_a_budget_of_nothing_is_no_matter_of_rows(circle, tmp_path):
    definition = changed(circle, "max_accuracy_drop = 0.01", "max_accuracy_drop = 0.0")
    state = state_of(definition, tmp_path, 2000, ExportOptions())
    assert state.plan.left == {"int8": "no number of rows certifies a budget of 0"}
    assert (
        "no number of rows certifies that nothing is ever lost" in describe_plan(state.plan, definition, state.split)[1]
    )


@pytest.mark.parametrize("unproven", [False, True])
def test_a_variant_that_rows_cannot_certify_is_made_only_if_unproven_was_asked_for(circle, tmp_path, unproven):
    definition = changed(circle, '["int8", "fp32"]', '["int8"]')
    options = ExportOptions(unproven=unproven)
    state = state_of(definition, tmp_path, 30, options)
    assert state.plan.variants == (("int8",) if unproven else ())
    if not unproven:
        with pytest.raises(CheckFailed, match="no variant can be certified: 30 rows") as caught:
            check_plan(state)
        assert caught.value.allowed == f"about {state.plan.wanted} rows"
        assert "add fp32" in caught.value.fix
        assert "--unproven" in caught.value.fix


def test_without_a_row_an_archive_has_to_be_asked_for(circle, tmp_path):
    definition = read_definition(circle)
    with pytest.raises(CheckFailed) as caught:
        check_plan(state_of(definition, tmp_path / "1", 0, ExportOptions()))
    message = "rows: there are no rows, and without one nothing shows that the graph answers as its source does"
    assert str(caught.value).startswith(f"{message}; allowed: at least 1\n")
    assert "give rows" in caught.value.fix
    check_plan(state_of(definition, tmp_path / "2", 0, ExportOptions(unproven=True)))
    check_plan(state_of(definition, tmp_path / "3", 0, ExportOptions(draft=True)))


def test_advice_does_not_repeat_what_was_done(circle, tmp_path):
    few = state_of(read_definition(circle), tmp_path / "1", 30, ExportOptions())
    assert "add fp32" not in advice(few)
    assert f"give about {few.plan.wanted} rows" in advice(few)
    enough = state_of(read_definition(circle), tmp_path / "2", 2000, ExportOptions(unproven=True))
    assert "give more rows" in advice(enough)
    assert "--unproven" not in advice(enough)


def test_a_draft_makes_fp32_alone(circle, tmp_path):
    definition = changed(circle, '["int8", "fp32"]', '["int8"]')
    assert state_of(definition, tmp_path, 2000, ExportOptions(draft=True)).plan.variants == ("fp32",)


def test_some_rows_without_a_label_make_it_a_matter_of_agreement(circle, tmp_path):
    definition = read_definition(circle)
    rows = [Row([number, 0.0], None if number % 10 == 0 else "inside") for number in range(1000)]
    split = split_rows(rows, tmp_path / "rows")
    plan = make_plan(definition, split, ExportOptions())
    assert plan.needed == share_rows_needed(0.01, 0.0)
    assert "100 rows have no label" in describe_plan(plan, definition, split)[1]


@pytest.mark.parametrize("budget", [0.5, 0.05, 0.01])
def test_the_rows_for_a_mean_are_those_at_which_its_bound_keeps_the_budget(budget):
    import numpy as np

    needed = mean_rows_needed(budget)
    assert mean_bound(np.zeros(needed), FIRST_LEVEL) <= budget < mean_bound(np.zeros(needed // 2), FIRST_LEVEL)
