"""An archive as an object: what it says of itself, and its predictions in this process."""

from __future__ import annotations

import os
import shutil
import tempfile

import msgspec
import numpy as np
import pytest

import onnxserve
from onnxserve.archive import contents, make_key, unpack, write_archive
from onnxserve.archive.offline import answers
from onnxserve.errors import ArchiveError, RowError


@pytest.fixture(scope="module")
def circle(archive) -> onnxserve.Archive:
    return onnxserve.Archive(archive)


def test_it_has_the_name_the_digest_and_the_signature_of_its_file(circle, archive):
    assert (circle.name, circle.version, circle.path) == ("circle", "1.0.0", archive)
    assert os.fspath(circle) == str(archive)
    assert circle.signature["output"]["labels"] == ["outside", "inside"]
    assert circle.sha256 == circle.verify().sha256
    assert repr(circle).startswith("<Archive circle 1.0.0, certified: ")


@pytest.mark.parametrize(
    "evidence", [{}, {"summary": 5}, {"summary": {"bound": "much"}}, {"summary": {}, "variants": 1}]
)
def test_evidence_of_another_form_is_refused_with_its_place(evidence, archive, tmp_path):
    members, manifest, _ = contents(archive)
    path = tmp_path / "circle-1.0.0.mar"
    write_archive(path, members | {"evidence.json": msgspec.json.encode(evidence)}, manifest)
    with pytest.raises(
        ArchiveError, match=r"its evidence isn't as an export writes it: .*(summary|variants)"
    ) as caught:
        onnxserve.Archive(path)
    assert caught.value.where == str(path)
    assert caught.value.fix


def test_its_path_stays_valid_in_another_folder(archive, monkeypatch, tmp_path):
    monkeypatch.chdir(archive.parent)
    near = onnxserve.Archive(archive.name)
    monkeypatch.chdir(tmp_path)
    assert near.path == archive
    assert near.golden_rows
    assert near.verify().sha256 == near.sha256


def test_it_predicts_what_its_handler_answers_in_a_process_of_its_own(circle, tmp_path):
    rows = [*circle.golden_rows, *([x / 40, -x / 50] for x in range(90))]  # more than one batch
    assert len(rows) > circle.signature["max_batch"]
    unpack(circle.path, tmp_path)
    alone = answers(tmp_path, [msgspec.json.encode({"instances": [row]}) for row in rows])
    predictions = circle.predict(rows)
    assert predictions == [answer["body"]["predictions"][0] for answer in alone]
    assert (predictions.model, predictions.version) == ("circle", "1.0.0")
    assert predictions[-2:] == predictions[len(rows) - 2 :]
    assert predictions[-2:].version == "1.0.0"


def test_rows_may_be_arrays_or_come_from_a_generator(circle):
    table = np.array([[0, 0.1], [1.8, -1.7]], np.float32)
    assert [prediction["label"] for prediction in circle.predict(table)] == ["inside", "outside"]
    assert circle.predict({"x": x, "y": y} for x, y in table) == circle.predict(table)
    assert circle.predict([]) == []


def test_parameters_are_those_of_a_request(circle):
    [prediction] = circle.predict([[0.0, 0.1]], parameters={"top_k": 0})
    assert list(prediction["scores"]) == ["inside", "outside"]


@pytest.mark.parametrize(
    ("row", "kind", "message"),
    [
        ([1.0], "invalid_row", "1 values, 2 are expected"),
        ({"x": 1.0, "y": "north"}, "invalid_row", "expected a number"),
        ([1.0, float("inf")], "invalid_row", "an infinite number"),
        ([1.0, object()], "undecodable_body", "object isn't a value that a request can hold"),
    ],
)
def test_a_refused_row_is_named_with_reason_and_remedy(circle, row, kind, message):
    with pytest.raises(RowError, match=message) as caught:
        circle.predict([*[[0.0, 0.0]] * 40, row])
    assert caught.value.type == kind
    assert caught.value.row == 40
    assert caught.value.fix


def test_a_refused_row_is_counted_over_all_batches(circle):
    with pytest.raises(RowError) as caught:
        circle.predict([*[[0.0, 0.0]] * 70, {"x": 1.0, "y": "north"}])
    assert (caught.value.row, caught.value.where) == (70, "instances[70].y")


def test_a_signed_archive_is_verified_by_its_key_alone(circle, tmp_path):
    keys = [make_key(tmp_path / name) for name in ("ours.pem", "other.pem")]
    signed = circle.sign(tmp_path / "ours.pem", tmp_path / "signed.mar")
    assert signed.verify([keys[0]]).signed
    assert signed.sha256 != circle.sha256
    with pytest.raises(ArchiveError):
        signed.verify([keys[1]])
    with pytest.raises(ArchiveError, match="not signed"):
        circle.verify([keys[0]])


def test_what_is_no_archive_is_refused(tmp_path):
    with pytest.raises(ArchiveError, match="no such archive"):
        onnxserve.Archive(tmp_path / "nothing.mar")
    (tmp_path / "text.mar").write_text("text")
    with pytest.raises(ArchiveError, match="not an archive"):
        onnxserve.Archive(tmp_path / "text.mar")


def test_nothing_of_an_archive_runs_that_is_not_what_it_records(archive, tmp_path, monkeypatch):
    content = archive.read_bytes()
    at = content.index(b"class Service(")
    path = tmp_path / "changed.mar"
    path.write_bytes(content[:at] + b"class Service[" + content[at + 14 :])
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with pytest.raises(ArchiveError, match="damaged"):
        onnxserve.Archive(path).predict([[0.0, 0.0]])
    assert list((tmp_path / "temporary").iterdir()) == []


def test_its_report_lies_beside_it(circle, tmp_path):
    assert "circle-1.0.0" in circle.report.html
    assert circle.report.path == circle.path.with_suffix(".report.html")
    alone = shutil.copy(circle.path, tmp_path)
    with pytest.raises(ArchiveError, match=r"report can't be read(.|\n)*export again"):
        onnxserve.Archive(alone).report  # noqa: B018 - it raises


def test_a_notebook_shows_what_it_claims_with_every_value_escaped(circle, tmp_path):
    copy = shutil.copy(circle.path, tmp_path / "a<b>.mar")
    page = onnxserve.Archive(copy)._repr_html_()
    assert "<strong>circle 1.0.0</strong>" in page
    assert "with 95 % confidence" in page
    assert "a&lt;b&gt;.mar" in page
    assert "<b>" not in page
    assert "<script" not in page
