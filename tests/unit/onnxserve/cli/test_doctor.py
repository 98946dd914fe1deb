"""`onnxserve doctor --fix`: it asks, or says what it would do, and then finds nothing more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onnxserve.cli.doctor import finding_row
from onnxserve.doctor import Finding, Repair
from tests.helpers.program import run


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two faults: there is no store, and the gateway's file has its former name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "traffic.toml").write_text("")
    return tmp_path


def repairs(out: str) -> dict[str, str]:
    return {finding["check"]: finding["repair"] for finding in json.loads(out) if finding["repair"]}


def test_a_dry_run_names_the_repairs_and_makes_none(place, monkeypatch, capsys):
    code, out, err = run("doctor", "--fix", "--dry-run", "--json", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 1
    assert {"folders", "former names"} <= set(repairs(out))
    assert "would: make the folder model_store" in err
    assert "would: mv traffic.toml gateway.toml" in err
    assert sorted(path.name for path in place.iterdir()) == ["traffic.toml"]


def test_all_repairs_are_made_without_a_question_if_that_is_asked_for(place, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nowhere")  # no JDK, with which the plugin would be built
    _, out, err = run("doctor", "--fix", "--yes", "--json", monkeypatch=monkeypatch, capsys=capsys)
    assert "done: make the folder model_store" in err
    assert (place / "model_store").is_dir()
    assert (place / "gateway.toml").is_file()
    assert repairs(out) == {}
    assert {finding["check"]: finding["fix"] for finding in json.loads(out)}["former names"] == ""
    _, _, err = run("doctor", "--fix", "--json", monkeypatch=monkeypatch, capsys=capsys)
    assert "nothing that --fix can repair" in err


def test_each_repair_is_asked_for_and_one_that_is_declined_is_not_made(place, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda question, **_: "model_store" in question)
    run("doctor", "--fix", "--json", monkeypatch=monkeypatch, capsys=capsys)
    assert sorted(path.name for path in place.iterdir()) == ["model_store", "traffic.toml"]


def test_without_a_terminal_it_says_how_to_consent(place, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    code, out, err = run("doctor", "--fix", monkeypatch=monkeypatch, capsys=capsys)
    assert (code, out) == (1, "")
    assert "--yes" in err
    assert not (place / "model_store").exists()


def test_a_repair_that_fails_is_told_and_stops_no_other(place, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nowhere")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    code, _, err = run("doctor", "--fix", "--yes", "--json", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 1
    assert "failed: make the folder model_store: [Errno 13] Permission denied" in err
    assert (place / "gateway.toml").is_file()


def test_a_finding_says_what_it_means_and_what_to_do():
    row = finding_row(Finding("kill", "there is no such program", "install it", Repair("install it", print)))
    assert row[:2] == ("✗", "kill")
    assert row[2].splitlines() == [
        "there is no such program",
        "TorchServe ends workers with this program; without it, retired versions keep their memory.",
        "fix: install it",
        "`onnxserve doctor --fix` would: install it",
    ]
    assert finding_row(Finding("threads", "2 CPUs"))[0] == "✓"


def test_consent_without_a_repair_is_refused(place, monkeypatch, capsys):
    code, _, err = run("doctor", "--yes", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 1
    assert "onnxserve doctor --fix --yes" in err
