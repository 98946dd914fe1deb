"""`serve --reload`: a new model is exported and served, an edit changes its answers, and a mistake changes nothing."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import httpx
import pytest

from onnxserve.errors import ReleaseError
from onnxserve.release.proven import check_proven
from tests.helpers.serving import Serving, serving, settings_in
from tests.helpers.waiting import wait_for

ROW = [1.5, 0.0]  # outside the circle of radius 1 and inside that of radius 2


class Client:
    """Asks again and again in a thread, and keeps the answers."""

    def __init__(self, server: Serving) -> None:
        self.answers: list[tuple[int, str, str]] = []  # status, version, label
        self._server, self._stop = server, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                response = self._server.post("circle", json.dumps(ROW).encode())
                document = response.json() if response.is_success else {}
                label = document["predictions"][0]["label"] if document else response.text
                self.answers.append((response.status_code, document.get("version", ""), label))
            except httpx.HTTPError as error:
                self.answers.append((0, "", str(error)))


@pytest.fixture
def model(definition: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(definition, tmp_path / "models" / "circle"))


@pytest.fixture
def server(model: Path, tmp_path: Path) -> Iterator[Serving]:
    """A server whose store is empty."""
    settings = settings_in(tmp_path / "server", [])
    with serving(settings, tmp_path, "--warm-up", "0", "--reload", str(model)) as running:
        yield running


def reloads(server: Serving, event: str) -> list[str]:
    return [known["detail"] for known in server.events() if (known["service"], known["event"]) == ("reload", event)]


def test_an_edit_is_served_without_a_failed_request_and_a_mistake_leaves_what_serves(server, model):
    [before] = server.predictions("circle", [ROW])
    assert before["label"] == "outside"
    source = (model / "model.py").read_text()
    with Client(server) as client:
        wider = source.replace("< 1]", "< 4]")
        assert wider != source
        (model / "model.py").write_text(wider)
        wait_for(lambda: reloads(server, "serving"))
        wait_for(lambda: client.answers[-1][1:] == ("1.0.0.2", "inside"))
        [edited] = reloads(server, "serving")
        assert edited.startswith("circle 1.0.0.2 after ")

        (model / "model.py").write_text("def load(:\n")
        wait_for(lambda: reloads(server, "failed"))
        [failed] = reloads(server, "failed")
        assert "what is served stays as it is" in failed
        assert "SyntaxError: invalid syntax" in failed
        assert f"where: {model / 'model.py'}:1" in failed
        assert "Traceback" not in failed
        wait_for(lambda: [state.version for state in server.release.status("circle")] == ["1.0.0.2"])
        count = len(client.answers)
        wait_for(lambda: len(client.answers) > count + 5)
    assert {status for status, _, _ in client.answers} == {200}
    versions = [version for _, version, _ in client.answers]
    assert versions == sorted(versions)
    assert set(versions) == {"1.0.0.1", "1.0.0.2"}

    [state] = server.release.status("circle")
    assert (state.proof, state.role) == ("unproven", "stable")
    with pytest.raises(ReleaseError, match="unproven"):
        check_proven("circle", "1.0.0.2", server.settings.state / "development" / "circle-1.0.0.2.mar")
    assert list(server.settings.store.iterdir()) == []
