"""Certifying in sequence: at most one export in twenty serves what loses too much, however many variants or tries."""

import multiprocessing
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from onnxserve.archive.write import pretty
from onnxserve.definition import read_definition
from onnxserve.errors import CheckFailed, StepFailed
from onnxserve.scaffold import new_model
from onnxserve_export import certify_rows
from onnxserve_export.archive_folder import signature
from onnxserve_export.batches import write_batches
from onnxserve_export.certify import call
from onnxserve_export.certify_log import CertifyLog
from onnxserve_export.export_state import ExportState
from onnxserve_export.options import DEFAULTS, ExportOptions
from onnxserve_export.paired_statistics import PairedStatistics
from onnxserve_export.plan import make_plan
from onnxserve_export.records import Candidate, Measured, RowParity
from onnxserve_export.rows import split_rows
from onnxserve_export.sequence import order_candidates
from onnxserve_export.significance_levels import FAMILYWISE_ERROR, FIRST_LEVEL, level_after
from onnxserve_export.subset import Row, Subset
from onnxserve_handlers.registry import task_for
from tests.helpers.acceptance import most_wrong

ROWS, BUDGET = 542, 0.01
TRIES = 4000
SELECT = PairedStatistics(160, 0.9, 0.9, 0.0, 0.02, 0.0)


def measured(variant: str, risk: float, likely_bound: float = 0.0) -> Measured:
    rest = (None, None, 0.0, 0.0, False, 0.0, 16, "", (), "")
    return Measured(variant, 1.0, SELECT, risk, likely_bound, *rest)


@pytest.fixture(scope="module")
def accepted_at():
    @lru_cache
    def table(level: float, largest: int) -> np.ndarray:
        return most_wrong(ROWS, BUDGET, level, range(largest + 1))

    def accepted(level: float, wrong: np.ndarray, right: np.ndarray) -> np.ndarray:
        return np.asarray(wrong <= table(level, int(right.max()))[right])

    return accepted


def results(draws: np.random.Generator, drops: list[float], newly_right: float) -> tuple[np.ndarray, np.ndarray]:
    """Of each of TRIES exports and each variant, how many got wrong and right, shape (tries, variants)."""
    counts = [
        draws.multinomial(ROWS, [newly_right + drop, newly_right, 1 - 2 * newly_right - drop], TRIES) for drop in drops
    ]
    return np.stack([drawn[:, 0] for drawn in counts], 1), np.stack([drawn[:, 1] for drawn in counts], 1)


@pytest.mark.parametrize("newly_right", [0.0, 0.005, 0.05])
@pytest.mark.parametrize(
    "drops",
    [
        [BUDGET],
        [0.0, BUDGET],
        [BUDGET] * 6,
        [0.0, 0.004, BUDGET, BUDGET, 0.02, BUDGET],
        [0.0, 0.0, 0.0, 0.0, 0.0, BUDGET],
    ],
)
def test_of_one_to_six_variants_one_that_loses_the_whole_budget_serves_in_one_export_of_twenty_at_most(
    accepted_at, drops, newly_right
):
    draws = np.random.default_rng(len(drops))
    good = accepted_at(FIRST_LEVEL, *results(draws, drops, newly_right))
    ms = {str(number): 1 - number / 10 for number in range(len(drops))}
    served_too_bad = 0
    for accepted in good:
        # The select rows mistake the order at times.
        candidates = [measured(str(number), number + draws.normal()) for number in range(len(drops))]
        sequence, _ = order_candidates(candidates, ms, BUDGET)
        numbers = [int(result.variant) for result in sequence]
        served_too_bad += any(drops[number] >= BUDGET for number in takewhile(accepted.__getitem__, numbers))
    assert served_too_bad / TRIES <= FAMILYWISE_ERROR + 3 * np.sqrt(FAMILYWISE_ERROR / TRIES)


@pytest.mark.parametrize("newly_right", [0.0, 0.005])
def test_who_exports_new_graphs_on_the_same_rows_until_one_passes_seldom_gets_there(accepted_at, newly_right):
    draws = np.random.default_rng(1)
    wrong, right = results(draws, [BUDGET] * 8, newly_right)
    passes = np.zeros(TRIES, bool)
    for export in range(8):
        passes |= accepted_at(level_after(export), wrong[:, export], right[:, export])
    assert passes.mean() <= FAMILYWISE_ERROR + 3 * np.sqrt(FAMILYWISE_ERROR / TRIES)
    whole = accepted_at(FAMILYWISE_ERROR, wrong, right).any(axis=1)
    assert whole.mean() > 2 * FAMILYWISE_ERROR  # as it would be were each try tested at the whole level


def test_the_safest_comes_first_and_who_is_no_faster_or_foreseen_to_fail_is_not_tried():
    candidates = [measured("bad", 0.3, 0.2), measured("fast", 0.02), measured("safe", 0.0), measured("slow", 0.01)]
    ms = {"bad": 0.1, "fast": 0.5, "safe": 1.0, "slow": 0.97}
    sequence, left = order_candidates(candidates, ms, BUDGET)
    assert [result.variant for result in sequence] == ["safe", "fast"]
    assert left == {
        "slow": "not tried: a safer one is as fast",
        "bad": "not tried: the select rows foresee a bound of 20.00%, 1.00% is allowed",
    }
    only, left = order_candidates([measured("bad", 0.3, 0.2)], ms, BUDGET)
    assert [result.variant for result in only] == ["bad"]  # the certify rows have the last word on the safest
    assert left == {}


class Export:
    """One export up to the step certify: labels are the rows' first values, and variants miss some of them."""

    def __init__(self, folder: Path, rows: int = 2000, options: ExportOptions = DEFAULTS) -> None:
        self.folder, self.options = folder, options
        self.definition = read_definition(new_model("table", "circle", folder / "models"))
        pairs = [Row([number], ("outside", "inside")[number % 2]) for number in range(rows)]
        self.split = split_rows(pairs, folder / "rows")
        self.right = np.eye(2, dtype=np.float32)[[row.value[0] % 2 for row in self.split.certify]]
        self.groups: Any = SimpleNamespace(certify=write_batches([{"features": self.right}], folder / "tensors.npz"))
        (folder / "signature.json").write_bytes(pretty(signature(self.definition, "", {})))

    def run(
        self, lost: dict[str, int], weights: str = "", parity: RowParity | None = None, broken: tuple[str, ...] = ()
    ) -> ExportState:
        state = ExportState(self.definition, self.folder / "store", self.folder, lambda _: None, options=self.options)
        state.split, state.task = self.split, task_for(self.definition.output)
        state.reference, state.select_reference = {"logits": self.right}, {"logits": self.right[:50]}
        state.plan, state.row_parity = make_plan(self.definition, self.split, self.options), parity
        state.probe_reference, state.row_axes, state.output_axes = state.reference, {}, {}
        state.opened = state.task
        state.archive_folder, state.groups = self.folder, self.groups
        state.sequence, state.measured, answers = [], [], {}
        for variant, count in lost.items():
            path = self.folder / f"{variant}.onnx"
            path.write_text(variant + weights)
            state.sequence.append(Candidate(variant, path))
            state.measured.append(measured(variant, 0.0))
            answers[variant] = {"logits": np.concatenate([self.right[:count, ::-1], self.right[count:]])}
            if variant in broken:
                answers[variant]["logits"][-1] = np.nan
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(certify_rows, "outputs_of", lambda state, candidate, batches: answers[candidate.variant])
            call(state)
        return state


@pytest.fixture
def export(tmp_path) -> Export:
    return Export(tmp_path)


def test_tests_end_at_the_first_refusal_and_the_last_accepted_serves(export):
    state = export.run({"fp32": 0, "mixed": 1, "int8": 30, "w8": 0})
    assert state.chosen.variant == "mixed"
    assert [result.refusal[:13] for result in state.measured] == ["", "", "accuracy drop", "not tried: in"]
    assert [test.level for test in state.certified.tests] == [FIRST_LEVEL] * 3
    assert [test.refused for test in state.certified.tests] == [False, False, True]
    assert state.measured[3].paired is None


def test_a_variant_that_breaks_on_a_certify_row_is_left_out_without_a_test_and_the_next_is_tried(export):
    state = export.run({"fp32": 0, "mixed": 1, "int8": 1}, broken=("mixed",))
    assert state.chosen.variant == "int8"
    assert [result.refusal for result in state.measured] == ["", "gives outputs that are not finite", ""]
    assert [test.variant for test in state.certified.tests] == ["fp32", "int8"]
    with pytest.raises(CheckFailed, match=r"passes \(int8: gives outputs that are not finite\)"):
        export.run({"int8": 0}, broken=("int8",), weights="broken")


def test_the_same_export_again_is_the_same_test_and_another_graph_is_a_dearer_one(export):
    first = export.run({"fp32": 0, "int8": 30})
    again = export.run({"fp32": 0, "int8": 30})
    assert again.certified == first.certified
    other = export.run({"fp32": 0}, weights="trained anew")
    assert [test.level for test in other.certified.tests] == [level_after(1)]
    assert [test.variant for test in other.certified.earlier] == ["fp32", "int8"]
    assert other.measured[0].paired.bound > first.measured[0].paired.bound


def test_an_export_that_failed_is_remembered(export):
    with pytest.raises(CheckFailed, match="no variant passes") as caught:
        export.run({"int8": 30})
    assert "1 graphs were refused on these rows so far" in caught.value.fix
    assert not list((export.folder / "store").glob("*.mar"))
    [test] = export.run({"fp32": 0}).certified.tests
    assert test.level == level_after(1)


def test_a_wider_budget_or_a_narrower_one_is_no_way_round_a_refusal(export):
    export.run({"fp32": 0, "int8": 30})
    log = CertifyLog(export.folder / "store", "circle", export.split.certify)
    [_, refused] = log.tests
    with log.turn():
        assert log.add("int8", refused.graph, refused.bound, 0.5, refused=False).refused
    assert log.level("another") == level_after(1)


def test_rows_that_are_mostly_the_same_are_the_same_and_new_ones_are_not(export, tmp_path):
    export.run({"fp32": 0, "int8": 30})
    store = export.folder / "store"
    more = split_rows([Row([number], "inside") for number in range(2000, 6000)], tmp_path / "new").certify
    assert CertifyLog(store, "circle", more).level("another") == FIRST_LEVEL
    grown = Export(tmp_path / "grown", rows=2400).split.certify
    assert CertifyLog(store, "circle", grown).level("another") == level_after(1)


def test_a_lost_record_is_made_up_from_the_evidence_beside_the_archives(export):
    state = export.run({"fp32": 0, "int8": 30})
    store = export.folder / "store"
    (store / "circle.certify.json").unlink()
    (store / "circle-0.9.0.evidence.json").write_text('{"summary": {}}')
    (store / "circle-1.0.0.evidence.json").write_bytes(
        msgspec.json.encode({"certify": msgspec.to_builtins(state.certified)})
    )
    log = CertifyLog(store, "circle", export.split.certify)
    assert log.tests == state.certified.tests
    assert log.level("another") == level_after(1)
    again = export.run({"fp32": 0, "int8": 30})
    assert again.certified == state.certified


def add_tests(store: Path, subset: Subset, process: int, count: int) -> None:
    """What one of several exports at once does: refusals, each of a graph of its own."""
    log = CertifyLog(store, "circle", subset)
    for number in range(count):
        with log.turn():
            log.add("int8", f"{process}-{number}", 1.0, 0.01, refused=True)


def test_of_exports_at_the_same_time_each_test_is_recorded_at_a_level_of_its_own(export):
    store, subset, count = export.folder / "store", export.split.certify, 20
    context = multiprocessing.get_context("spawn")
    exports = [context.Process(target=add_tests, args=(store, subset, process, count)) for process in range(2)]
    for process in exports:
        process.start()
    for process in exports:
        process.join(120)
    assert [process.exitcode for process in exports] == [0, 0]
    tests = CertifyLog(store, "circle", subset).tests
    assert {test.graph for test in tests} == {f"{process}-{number}" for process in range(2) for number in range(count)}
    assert [test.level for test in tests] == [level_after(number) for number in range(2 * count)]


def test_a_damaged_record_stops_the_export(export):
    path = export.folder / "store" / "circle.certify.json"
    path.parent.mkdir()
    path.write_text("[{")
    with pytest.raises(StepFailed, match="record of tests on the certify rows is damaged"):
        export.run({"fp32": 0})
