"""The worked handlers of the reference do what the page says: each is exported with a small model and answers rows."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from onnxserve.archive import unpack
from onnxserve.archive.offline import answers
from onnxserve_handlers.registry import TASKS
from tests.helpers.task_models import MODELS, picture, sound
from tests.helpers.worked import worked_handlers, worked_store


@pytest.fixture(scope="module")
def store(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return worked_store(pytestconfig, tmp_path_factory.mktemp("worked"))


class UnpackedArchives:
    """The archives, each unpacked once and run in a process of its own."""

    def __init__(self, store: Path, folder: Path) -> None:
        self._store, self._folder = store, folder

    def document(self, task: str, document: Any) -> tuple[int, Any]:
        folder = self._folder / task
        unpack(self._store / f"{task}-1.0.0.mar", folder)
        [answer] = answers(folder, [json.dumps(document).encode()])
        return answer["status"], answer["body"]

    def rows(self, task: str, *rows: Any) -> list[Any]:
        status, body = self.document(task, {"instances": rows})
        assert status == 200, body
        return list(body["predictions"])


@pytest.fixture
def archives(store: Path, tmp_path: Path) -> UnpackedArchives:
    return UnpackedArchives(store, tmp_path)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_the_page_has_a_handler_for_each_task_and_the_models_are_of_every_kind():
    assert [*worked_handlers()] == [*MODELS]
    assert {*worked_handlers()} == {*TASKS}
    assert {model.kind for model in MODELS.values()} == {"text", "image", "audio", "table", "tensors"}


def test_classes_that_mean_the_same_are_merged(archives):
    late, kind = archives.rows("classification", "the late bread", "kind")
    both = (math.exp(2) + 1) / (math.exp(2) + 2)
    assert late == {"label": "complaint", "score": pytest.approx(both, abs=1e-6)}
    assert kind == {"label": "praise", "score": pytest.approx(math.exp(4) / (math.exp(4) + 2), abs=1e-6)}


def test_scores_of_merged_classes_cant_be_asked_for(archives):
    status, body = archives.document("classification", {"instances": ["kind"], "parameters": {"top_k": 0}})
    assert (status, body["error"]["where"]) == (422, "parameters")


def test_logits_are_divided_by_the_temperature(archives):
    [row] = archives.rows("multilabel", sound(0.5, 0.25, -0.5))
    assert row["labels"] == ["bird"]
    assert row["scores"] == {
        "bird": pytest.approx(sigmoid(0.75 / 2), abs=1e-6),
        "bell": pytest.approx(sigmoid(-0.75 / 2), abs=1e-6),
    }


def test_a_price_is_clipped_and_rounded(archives):
    rows = archives.rows("regression", [1.2345, 0.1], {"rooms": 1, "age": 4})
    assert rows == [{"values": [1.65]}, {"values": [0.0]}]


def test_vectors_are_cut_and_of_length_1_again(archives):
    both, kind = archives.rows("embedding", "fresh bread", "kind")
    assert both["embedding"] == pytest.approx([math.sqrt(0.5)] * 2, abs=1e-6)
    assert kind["embedding"] == pytest.approx([0, 1], abs=1e-6)


def test_a_dated_passage_loses_half_its_score_in_30_days(archives):
    before = datetime.now(UTC).date()
    passages = ["fresh bread", f"{before - timedelta(days=60)} fresh bread", f"{before} fresh bread"]
    undated, old, new = archives.rows("rerank", *(["the bread", passage] for passage in passages))
    days = (datetime.now(UTC).date() - before).days  # 1 if midnight passed
    assert undated["score"] == pytest.approx(sigmoid(2.5), abs=1e-6)
    assert 0.5 ** ((60 + days) / 30) <= old["score"] / sigmoid(2.5) * (1 + 1e-6) <= 0.5**2 * (1 + 2e-6)
    assert 0.5 ** (days / 30) <= new["score"] / sigmoid(2.5) * (1 + 1e-6) <= 1 + 2e-6


def test_spans_beside_a_hyphen_are_one_in_a_text_and_in_words(archives):
    text, words = archives.rows("tokens", "Ann met the New - York", ["the", "New", "-", "York"])
    score = pytest.approx(math.exp(9) / (math.exp(9) + 3), abs=1e-6)
    assert text["spans"] == [
        {"label": "PER", "start": 0, "end": 3, "text": "Ann", "score": score},
        {"label": "LOC", "start": 12, "end": 22, "text": "New - York", "score": score},
    ]
    assert words["spans"] == [{"label": "LOC", "start": 1, "end": 4, "text": "New - York", "score": score}]


def test_each_label_of_a_detector_has_a_threshold_of_its_own(archives):
    bright, darker = archives.rows("detection", picture(), picture((0, 0), (1, 1), (4, 4)))
    assert [entry["label"] for entry in bright["objects"]] == ["dog", "cat"]
    assert [(entry["label"], entry["box"]) for entry in darker["objects"]] == [("dog", [2, 2, 8, 8])]


def test_a_hole_of_one_pixel_is_filled_and_a_corner_is_not(archives):
    [row] = archives.rows("segmentation", picture((0, 0), (4, 4)))
    assert row["shares"] == {"ground": 1 / 64, "roof": 63 / 64}
    assert row["masks"]["ground"] == {"size": [8, 8], "counts": [0, 1, 63]}


def test_kelvin_becomes_celsius_and_each_row_keeps_its_length(archives):
    short, long = archives.rows("raw", [1.5, 2], [0.25, -1, 3])
    assert short["outputs"] == {
        "temperature": pytest.approx([15, 20], abs=1e-3),
        "largest": pytest.approx(20, abs=1e-3),
    }
    assert long["outputs"]["temperature"] == pytest.approx([2.5, -10, 30], abs=1e-3)
