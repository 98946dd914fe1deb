"""`make serve`: the first model serves while the others are exported, and each joins the server when it is done."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT
from tests.helpers.waiting import wait_for

NAMES = ("first", "second", "third")
# It serves until it gets a signal; `second` is exported only when `first` serves, and `broken` files make it fail.
PROGRAM = """#!/bin/sh
echo "$@" >> calls
case "$1 $2" in
"serve "*)
  trap 'echo stopped >> calls; exit 0' INT TERM
  ls model_store > served; touch up
  while :; do sleep 0.05; done ;;
"export "*)
  name=$(basename "$3")
  test ! -e "models/$name/broken" || { echo "$name can't be exported" >&2; exit 1; }
  while [ $name != first ] && [ ! -e up ]; do sleep 0.05; done
  test ! -e "models/$name/slow" || { trap 'echo $name ended >> calls; exit 1' TERM; touch exporting; }
  while [ -e "models/$name/slow" ]; do sleep 0.05; done
  touch "model_store/$name-1.0.0.mar" ;;
"release ready") test -e up ;;
esac
"""

# It runs models/churn/data.py, which writes the table of the feature store.
PYTHON = """#!/bin/sh
mkdir -p models/churn/store/data && touch models/churn/store/data/customers.parquet
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with three models and an environment whose program records its calls."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for folder in ("handlers", "export", "model_store", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    for name in NAMES:
        (tmp_path / "models" / name).mkdir(parents=True)
        for file in ("model.toml", "model.py", "golden.jsonl"):
            (tmp_path / "models" / name / file).touch()
    (tmp_path / "models" / "churn").mkdir()
    for file in ("pyproject.toml", "models/churn/data.py"):
        (tmp_path / file).touch()
    for name, text in (("onnxserve", PROGRAM), ("python", PYTHON)):
        program = tmp_path / ".venv" / "bin" / name
        program.write_text(text)
        program.chmod(0o755)
    (tmp_path / ".venv" / ".installed").touch()
    return tmp_path


@pytest.fixture
def serving(checkout: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`make serve` as a terminal starts it: one process group, which gets Ctrl-C."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    with (checkout / "make.log").open("wb") as log:
        make = subprocess.Popen(
            [str(shutil.which("make")), f"MODELS={' '.join(NAMES)}", "serve"],
            cwd=checkout,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    yield make
    if make.poll() is None:
        os.killpg(make.pid, signal.SIGKILL)
        make.wait()


def calls(checkout: Path) -> list[str]:
    path = checkout / "calls"
    return path.read_text().splitlines() if path.is_file() else []


def interrupt(make: subprocess.Popen[bytes]) -> None:
    os.killpg(make.pid, signal.SIGINT)
    make.wait(30)


def registered(name: str) -> str:
    return f"release register model_store/{name}-1.0.0.mar"


def test_the_first_model_serves_before_the_others_are_exported_and_those_join_it(checkout, serving):
    wait_for(lambda: registered("third") in calls(checkout), 30)
    assert (checkout / "served").read_text().split() == ["first-1.0.0.mar"]
    assert calls(checkout)[0] == "export --replace models/first"
    assert "serve --features models/churn/store" in calls(checkout)[1:3]
    assert registered("second") in calls(checkout)
    assert registered("first") not in calls(checkout)
    assert serving.poll() is None
    interrupt(serving)
    assert calls(checkout)[-1] == "stopped"


def test_a_model_that_cannot_be_exported_is_reported_and_leaves_the_others_serving(checkout, serving):
    (checkout / "models" / "second" / "broken").touch()
    wait_for(lambda: registered("third") in calls(checkout), 30)
    assert "second can't be exported" in (checkout / "make.log").read_text()
    assert serving.poll() is None
    interrupt(serving)
    assert registered("second") not in calls(checkout)


def test_what_has_an_archive_is_brought_up_to_date_before_the_start(checkout, request):
    for name in NAMES:
        (checkout / "model_store" / f"{name}-1.0.0.mar").touch()
        (checkout / "model_store" / f".{name}").touch()
    (checkout / "up").touch()  # nothing waits for a server here
    os.utime(checkout / "model_store" / ".second", (1, 1))
    serving = request.getfixturevalue("serving")
    wait_for((checkout / "served").exists, 30)
    assert calls(checkout) == ["export --replace models/second", "serve --features models/churn/store"]
    interrupt(serving)


def test_everything_ends_with_make(checkout, serving):
    wait_for((checkout / "up").exists, 30)
    serving.send_signal(signal.SIGTERM)
    serving.wait(30)
    wait_for(lambda: "stopped" in calls(checkout), 30)


@pytest.mark.parametrize("signals", ["of a terminal", "to make alone"])
def test_an_export_under_way_ends_with_make(checkout, serving, signals):
    (checkout / "models" / "second" / "slow").touch()
    wait_for((checkout / "exporting").exists, 30)
    if signals == "to make alone":
        serving.terminate()
    else:
        os.killpg(serving.pid, signal.SIGINT)
    serving.wait(30)
    wait_for(lambda: "stopped" in calls(checkout), 30)
    assert "second ended" in calls(checkout)
    assert registered("second") not in calls(checkout)
