"""A row whose outputs aren't finite gets an error of its own, in every form and beside good rows."""

import io
import json

import numpy as np
import pytest

from onnxserve.archive import unpack
from onnxserve_handlers.bulk import Bulk
from onnxserve_handlers.errors import InvalidRow, NotFinite, combine
from onnxserve_handlers.inputs.table import TableInput
from onnxserve_handlers.outputs import rows_not_finite
from tests.helpers.fakes import FakeSession, ask_json
from tests.helpers.inference import JSON, features, send

VOID = 13.0


class VoidSession(FakeSession):
    """Gives NaN and infinity for rows that begin with VOID."""

    def run(self, arrays):
        outputs = super().run(arrays)
        logits = outputs["output_0"]
        logits[logits[:, 1] == VOID] = [np.nan, np.inf]
        return outputs


@pytest.fixture
def void(table):
    table.session = VoidSession()
    return table


def test_a_row_whose_output_is_not_finite_is_an_error_and_never_a_label(void):
    [(status, answer), (neighbour, good)] = ask_json(void, [VOID, 2], [3, 4])
    assert (status, answer["error"]["type"], answer["error"]["where"]) == (500, "not_finite", "instances[0]")
    assert (neighbour, good["predictions"][0]["label"]) == (200, "yes")


def test_the_other_rows_of_its_request_are_answered(void):
    [(status, answer)] = ask_json(void, {"instances": [[3, 4], [VOID, 2], [5, 6]]})
    first, void_, last = answer["predictions"]
    assert (status, first["label"], last["label"]) == (200, "yes", "yes")
    assert (void_["error"]["type"], void_["error"]["where"]) == ("not_finite", "instances[1]")


def test_a_request_without_an_answer_is_refused_as_a_whole(void):
    [(status, answer)] = ask_json(void, {"instances": [[VOID, 4], [VOID, 2]]})
    assert (status, answer["error"]["type"]) == (500, "not_finite")
    assert "instances[1]" in answer["error"]["reason"]


def test_forms_without_a_place_for_a_rows_error_refuse_the_request(void):
    stream = io.BytesIO()
    np.save(stream, np.array([[VOID, 2], [3, 4]], np.float32))
    both = json.dumps({"inputs": [features([[VOID, 2], [3, 4]])]}).encode()
    good = json.dumps({"inputs": [features([[3, 4]])]}).encode()
    npy = {"content-type": "application/x-npy", "accept": "application/x-npy"}
    answers = send(void, (both, {"content-type": JSON}), (stream.getvalue(), npy), (good, {"content-type": JSON}))
    assert [status for status, _, _ in answers] == [500, 500, 200]
    assert [headers.get("x-onnxserve-error") for _, headers, _ in answers] == ["not_finite", "not_finite", None]


def test_every_output_counts_and_whole_numbers_are_finite():
    outputs = {
        "a": np.array([[1, np.inf], [2, 3], [4, 5]], np.float32),
        "b": np.array([1, 2, 3]),
        "c": np.array([1, 2, np.nan], np.float16),
    }
    assert rows_not_finite(outputs) == [0, 2]
    assert rows_not_finite({"a": np.ones((2, 2), np.float32)}) == []


def test_faults_of_one_kind_stay_of_that_kind():
    assert type(combine([NotFinite("a"), NotFinite("b")])) is NotFinite
    assert type(combine([NotFinite("a"), InvalidRow("b")])) is InvalidRow


@pytest.fixture(scope="module")
def bulk(archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    unpack(archive, folder)
    return Bulk(folder, {"threads": 1})


def test_batches_set_such_rows_aside(bulk, monkeypatch):
    run = type(bulk.handler).run

    def void(self, tensors):
        outputs = run(self, tensors)
        outputs["output_0"] = outputs["output_0"].copy()
        outputs["output_0"][tensors["features"][:, 0] == VOID] = np.nan
        return outputs

    assert isinstance(bulk.handler, TableInput)
    monkeypatch.setattr(type(bulk.handler), "run", void)
    rows = [[1.0, 0.5], [VOID, 0.5], [2.0, 0.5]]
    for scored in (bulk.score_values(rows), bulk.score_columns({"x": np.array([1, VOID, 2]), "y": np.full(3, 0.5)})):
        assert (scored.kept.tolist(), len(scored.label), len(scored.outputs["output_0"])) == ([0, 2], 2, 2)
        assert isinstance(scored.errors[1], NotFinite)
