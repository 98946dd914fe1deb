"""`onnxserve serve` with an operator: what the console's service says of real workers, and a step that it takes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from onnxserve.cli.app import app
from tests.helpers.administration import Administered
from tests.helpers.serving import Serving, serving, settings_in
from tests.helpers.waiting import wait_for

TABLES = "[predictions]\npercent = 100\n"
ROWS = 64


@pytest.fixture(scope="module")
def server(archive, next_archive, tmp_path_factory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("operated")
    settings = settings_in(folder, [archive, next_archive], TABLES)
    with serving(settings, folder, "--warm-up", "0") as running:
        yield running


@pytest.fixture(scope="module")
def console(server: Serving) -> Administered:
    return Administered(server.console, server.settings.gateway_file.parent)


@pytest.fixture(scope="module")
def key(server: Serving) -> str:
    """An operator's key, made on the command line."""
    words = ["keys", "add", "ops", "--scope", "operate", "--expires", "1h", "--json"]
    result = CliRunner().invoke(app, [*words, "--gateway-file", str(server.settings.gateway_file)])
    assert result.exit_code == 0, result.output
    secret: str = json.loads(result.stdout)["key"]
    return secret


def page(console: Administered) -> dict[str, Any]:
    document: dict[str, Any] = console.get("version", model="circle", version="1.0.0").raise_for_status().json()
    return document


def test_live_rows_are_shown_in_the_bins_of_the_profile_and_logged_rows_to_operators(server, console, key):
    draw = random.Random(7)

    def window() -> Any:
        server.predictions("circle", [[draw.random(), draw.random()] for _ in range(ROWS)])
        return page(console)["window"]

    wait_for(window)
    shown = page(console)
    profile, seen = shown["profile"], shown["window"]
    assert (seen["workers"], seen["rows"] >= 2_000) == (1, True)
    assert seen["measures"].keys() == profile["measures"].keys()
    for name, counts in seen["measures"].items():
        assert len(counts) == len(profile["measures"][name]["counts"])
        assert sum(counts) == seen["rows"], name
    assert sum(seen["labels"].values()) + seen["unknown"] == seen["rows"]
    wait_for(lambda: console.get("predictions", key, model="circle", version="1.0.0").json()["rows"])
    row = console.get("predictions", key, model="circle", version="1.0.0").json()["rows"][0]
    assert json.loads(row["input"]).keys() == {"x", "y"}
    assert row["label"] in ("inside", "outside")
    assert console.get("predictions", model="circle", version="1.0.0").status_code == 401


def test_an_operator_made_by_the_command_line_starts_a_canary_and_ends_it(server, console, key):
    step = {"action": "canary", "model": "circle", "version": "2.0.0", "percent": 50}
    changes = console.post("plan", step, key).raise_for_status().json()["changes"]
    console.post("apply", {"step": step, "changes": changes}, key).raise_for_status()
    versions = {server.post("circle", b"[0, 0]").headers["x-onnxserve-version"] for _ in range(60)}
    assert versions == {"1.0.0", "2.0.0"}
    step = {"action": "rollback", "model": "circle"}
    changes = console.post("plan", step, key).json()["changes"]
    console.post("apply", {"step": step, "changes": changes}, key).raise_for_status()
    assert [event.by.split()[0] for event in server.release.history.events("circle")[-2:]] == ["ops", "ops"]
    assert server.post("circle", b"[0, 0]").headers["x-onnxserve-version"] == "1.0.0"
