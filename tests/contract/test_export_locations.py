"""A definition whose rows and files come from elsewhere: pinned, cached, and refused as a whole where that fails."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from onnxserve.archive import unpack
from onnxserve.errors import OnnxserveError
from onnxserve.scaffold import new_model
from onnxserve_export import check, fetch, rows
from onnxserve_export.export import export_model
from onnxserve_export.export_state import ExportState
from onnxserve_export.options import ExportOptions
from onnxserve_export.steps import STEPS
from tests.helpers.file_server import FileServer, running

READING = (fetch.STEP, rows.STEP)
REFUSING = (*READING, check.STEP)  # which tells all faults
SOURCE = '\n[[sources]]\nname = "scale"\nlocation = "{url}"\n'


@pytest.fixture
def server(monkeypatch, tmp_path) -> Iterator[FileServer]:
    """A server of 1,000 labelled points, and of a file that `model.py` reads."""
    monkeypatch.setenv("ONNXSERVE_CACHE", str(tmp_path / "cache"))
    points = np.random.default_rng(0).uniform(-1, 1, (1000, 2)).round(4)
    lines = [f"{x},{y},{'inside' if x * x + y * y < 0.5 else 'outside'}\n" for x, y in points]
    with running(FileServer({"/rows.csv": ("x,y,label\n" + "".join(lines)).encode(), "/scale.txt": b"1.0"})) as server:
        yield server


@pytest.fixture
def circle(tmp_path) -> Path:
    return new_model("table", "circle", tmp_path / "models")


def pinned(server: FileServer, path: str) -> str:
    return f"{server.url}{path}@sha256:{hashlib.sha256(server.files[path]).hexdigest()}"


def write(circle: Path, rows_at: str, source: str = "") -> None:
    toml = circle / "model.toml"
    text = toml.read_text().replace('rows = "model.py:rows"', f'rows = "{rows_at}"')
    toml.write_text(text + (SOURCE.format(url=source) if source else ""))


def export(circle: Path, steps=STEPS, *, offline: bool = False) -> ExportState:
    return export_model(
        circle, circle.parent, steps, lambda _: None, options=ExportOptions(offline=offline, replace=True)
    )


def test_a_model_is_proven_on_rows_from_elsewhere_and_the_archive_says_which(server, circle, tmp_path):
    write(circle, pinned(server, "/rows.csv"), pinned(server, "/scale.txt"))
    state = export(circle)
    assert state.sources["scale"].read_text() == "1.0"
    unpack(state.archive, tmp_path / "open")
    evidence = json.loads((tmp_path / "open" / "evidence.json").read_text())
    digest = hashlib.sha256(server.files["/rows.csv"]).hexdigest()
    assert evidence["data"]["location"] == f"{server.url}/rows.csv"
    assert evidence["data"]["location_sha256"] == digest
    assert evidence["sources"][0]["location"] == f"{server.url}/scale.txt"
    again = export(circle, READING, offline=True)
    assert again.split.certify.digest == state.split.certify.digest
    assert len(server.requests) == 2


def test_all_missing_pins_are_named_at_once_as_lines_to_write(server, circle):
    write(circle, f"{server.url}/rows.csv", f"{server.url}/scale.txt")
    with pytest.raises(OnnxserveError, match="is not pinned") as refusal:
        export(circle, REFUSING)
    assert f'rows = "{pinned(server, "/rows.csv")}"' in str(refusal.value)
    assert f'sources.scale: location = "{pinned(server, "/scale.txt")}"' in str(refusal.value)


def test_offline_names_all_that_is_missing_and_asks_nobody(server, circle):
    write(circle, pinned(server, "/rows.csv"), pinned(server, "/scale.txt"))
    with pytest.raises(OnnxserveError, match="--offline refuses the network") as refusal:
        export(circle, REFUSING, offline=True)
    assert "/rows.csv is not in the cache" in refusal.value.what
    assert "/scale.txt is not in the cache" in refusal.value.what
    assert server.requests == []


def test_rows_beside_the_definition_need_no_pin(server, circle):
    (circle / "points.csv").write_bytes(server.files["/rows.csv"])
    write(circle, "points.csv")
    state = export(circle, READING, offline=True)
    assert sum(map(len, state.split.subsets.values())) == 1000


def test_a_section_says_which_columns_are_meant(server, circle):
    (circle / "points.csv").write_bytes(server.files["/rows.csv"].replace(b"x,y,label", b"east,north,place", 1))
    write(circle, "points.csv")
    toml = circle / "model.toml"
    text = toml.read_text().replace('rows = "points.csv"\n', "")
    section = '\n[rows]\nlocation = "points.csv"\nlabel = "place"\ninput = ["east", "north"]\n'
    toml.write_text(text + section)
    state = export(circle, READING)
    assert sum(map(len, state.split.subsets.values())) == 1000
