"""What is read of the observations that nginx writes while a canary or shadow runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onnxserve.release.observations import Observation, ObservationLog, Prediction

ANSWER = {
    "pair": "p",
    "request_id": "r",
    "model": "demo",
    "version": "1.0",
    "status": 200,
    "seconds": 0.01,
    "cache": "",
    "said": '[{"label":"a","score":0.5}]',
    "rows": "[[1.0]]",
}


@pytest.fixture
def path(tmp_path) -> Path:
    log: Path = tmp_path / "observations.log"
    log.touch()
    return log


def write(path: Path, **fields: object) -> None:
    with path.open("a") as stream:
        stream.write(json.dumps(ANSWER | fields) + "\n")


def versions(observations: list[Observation]) -> list[tuple[str, int]]:
    return [(answer.version, answer.status) for answer in observations]


def test_an_answer_is_one_observation_and_a_damaged_line_none(path):
    tail = ObservationLog(path)
    write(path)
    with path.open("a") as stream:
        stream.write('{"pair":"p"\n')
    write(path, version="2.0")
    answers = tail.read()
    assert versions(answers) == [("1.0", 200), ("2.0", 200)]
    assert (answers[0].predictions, answers[0].computed) == ([Prediction("a", 0.5)], True)
    assert tail.read() == []


def test_a_failure_that_another_version_hid_is_an_observation_of_its_own(path):
    tail = ObservationLog(path)
    write(path, failed="2.0 503,2.0 502")
    hidden, answer = tail.read()
    assert (hidden.version, hidden.status, hidden.labels, hidden.rows) == ("2.0", 503, [], "")
    assert (answer.version, answer.status) == ("1.0", 200)
    assert hidden.pair != answer.pair  # a shadow is compared with the answer


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ({"version": "2.0", "failed": "2.0 503"}, [("2.0", 503), ("2.0", 200)]),
        ({"version": "2.0", "status": 503, "failed": "2.0 503,2.0 503"}, [("2.0", 503)]),
        ({"status": 503, "failed": "2.0 503,1.0 503"}, [("2.0", 503), ("1.0", 503)]),
        ({"failed": "nonsense,, 503"}, [("1.0", 200)]),
        ({"failed": "a b 500"}, [("a b", 500), ("1.0", 200)]),
    ],
)
def test_each_version_that_failed_is_seen_once(path, fields, seen):
    tail = ObservationLog(path)
    write(path, **fields)
    assert versions(tail.read()) == seen


def test_a_log_that_is_renamed_goes_on_in_the_new_file(path):
    tail = ObservationLog(path)
    write(path)
    path.rename(path.with_name("observations.log.1"))
    write(path, version="2.0")
    assert versions(tail.read() + tail.read()) == [("1.0", 200), ("2.0", 200)]


def test_answers_of_very_many_rows_agree_as_far_as_both_say_their_labels():
    def answer(*rows: object) -> Observation:
        summary = json.dumps([{"label": row} if isinstance(row, str) else row for row in rows])
        return Observation("p", "r", "demo", "1.0", 200, 0.1, summary=summary)

    assert answer("a", "b").agrees(answer("a", "b"))
    assert not answer("a", "b").agrees(answer("a"))
    assert answer("a", "b", 9).labels == ["a", "b"]
    assert answer("a", "b", 9).agrees(answer("a", 9))
    assert answer("a", 9).agrees(answer("a", "b"))
    assert not answer("a", "b", 9).agrees(answer("a", "c", "d", 9))
    assert len(answer("a", "b", 9).predictions) == 2
