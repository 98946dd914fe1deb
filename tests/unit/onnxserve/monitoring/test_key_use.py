"""When keys were last used: from the access log, saved now and then, and never an authority."""

from __future__ import annotations

import json
from pathlib import Path

from onnxserve.monitoring.access_log import Entry
from onnxserve.monitoring.key_use import PERIOD_S, KeyUse, key_uses


def used(key: str, at: float) -> Entry:
    return Entry(at, 200, 0.01, 1, 1, key=key)


def test_the_latest_use_of_each_key_is_saved_at_most_once_in_a_period(tmp_path: Path):
    path, clock = tmp_path / "key_use.json", [0.0]
    uses = KeyUse(path, lambda: clock[0])
    uses.add([used("a", 5.0), used("b", 7.0), used("a", 3.0), used("", 9.0)])
    uses.tick()
    assert not path.exists()
    clock[0] = PERIOD_S
    uses.tick()
    assert key_uses(path) == {"a": 5.0, "b": 7.0}
    path.unlink()
    clock[0] = 2 * PERIOD_S
    uses.tick()
    assert not path.exists(), "nothing is new"


def test_what_was_known_before_a_restart_is_kept(tmp_path: Path):
    path = tmp_path / "key_use.json"
    for key, at in (("a", 5.0), ("b", 6.0), ("a", 4.0)):
        uses = KeyUse(path)
        uses.add([used(key, at)])
        uses.save()
    assert key_uses(path) == {"a": 5.0, "b": 6.0}


def test_a_damaged_file_is_begun_anew_and_a_full_disk_costs_nothing(tmp_path: Path, monkeypatch):
    path = tmp_path / "key_use.json"
    path.write_text("{")
    uses = KeyUse(path)
    uses.add([used("a", 5.0)])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("onnxserve.monitoring.key_use.write_json", full)
        uses.save()
    assert path.read_text() == "{"
    uses.save()
    assert json.loads(path.read_text()) == {"a": 5.0}
