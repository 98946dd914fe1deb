"""The templates of spans and of pairs, as `onnxserve new` makes them: exported once, asked as clients ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onnxserve.archive import unpack
from onnxserve.archive.offline import answers
from onnxserve.scaffold import new_model
from onnxserve_export.export import export_model
from onnxserve_export.export_state import ExportState
from onnxserve_export.options import ExportOptions
from onnxserve_export.steps import STEPS
from tests.helpers.batch_jobs import read, run

TEXT = "Please send it to  Ada Byron in Paris"
SPANS = [("NAME", "Ada Byron", 19, 28), ("CITY", "Paris", 32, 37)]


def exported(folder: Path, task: str, *, draft: bool = False) -> ExportState:
    model = new_model("text", task, folder / "models", task)
    return export_model(model, folder / "store", STEPS, lambda _: None, options=ExportOptions(draft=draft))


def predict(state: ExportState, folder: Path, document: Any) -> list[Any]:
    unpack(state.archive, folder / "open")
    [answer] = answers(folder / "open", [json.dumps(document).encode()])
    assert answer["status"] == 200, answer
    predictions: list[Any] = answer["body"]["predictions"]
    return predictions


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> ExportState:
    return exported(tmp_path_factory.mktemp("tokens"), "tokens")


def parts_of(prediction: Any) -> list[tuple[str, str, int, int]]:
    return [(span["label"], span["text"], span["start"], span["end"]) for span in prediction["spans"]]


def test_the_proof_measures_the_f1_of_spans_on_rows_of_words(tagger):
    summary = tagger.evidence["summary"]
    assert (summary["task"], summary["measure"], summary["claim"]) == ("tokens", "F1 of the spans", "accuracy")
    assert summary["accuracy"] > 0.95
    assert (summary["drop"], summary["flips"]) == (0, 0)


def test_spans_have_the_characters_of_a_text_and_the_places_of_words(tagger, tmp_path):
    text, words = predict(tagger, tmp_path, {"instances": [TEXT, {"text": TEXT.split()}]})
    assert parts_of(text) == SPANS
    assert parts_of(words) == [("NAME", "Ada Byron", 4, 6), ("CITY", "Paris", 7, 8)]
    assert all(0.5 < span["score"] <= 1 for span in text["spans"])


def test_each_row_gets_its_own_tags_where_the_tokenizer_pads_on_the_left(tmp_path):
    model = new_model("text", "left", tmp_path / "models", "tokens")
    code = model / "model.py"
    plain, ending = code.read_text(), "    return made\n\n\ndef assets"
    assert plain.count(ending) == 1
    code.write_text(plain.replace(ending, f'    made.enable_padding(direction="left")\n{ending}'))
    state = export_model(model, tmp_path / "store", STEPS, lambda _: None, options=ExportOptions(draft=True))
    long, short = predict(state, tmp_path, {"instances": [TEXT, "the shop in Oslo was shut"]})
    assert parts_of(long) == SPANS
    assert parts_of(short) == [("CITY", "Oslo", 12, 16)]


def test_a_batch_gives_spans_as_json(tagger, tmp_path):
    pq.write_table(pa.table({"id": [1, 2], "text": [TEXT, "the shop in Oslo was shut"]}), tmp_path / "rows.parquet")
    run(tagger.archive, tmp_path / "rows.parquet", tmp_path / "out")
    first, second = (json.loads(text) for text in read(tmp_path / "out")["prediction"].to_pylist())
    assert parts_of(first) == SPANS
    assert parts_of(second) == [("CITY", "Oslo", 12, 16)]


def test_a_passage_about_what_was_asked_is_more_relevant(tmp_path):
    state = exported(tmp_path, "rerank", draft=True)
    pairs = [["is the parcel good", "the parcel was fine"], ["is the parcel good", "the staff was fine"]]
    relevant, other = predict(state, tmp_path, {"instances": pairs})
    assert relevant["score"] > other["score"]
