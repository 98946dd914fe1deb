"""Which archives a server is started with, and how it is asked."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest

import onnxserve
from onnxserve.api.server import Server, link_archives
from onnxserve.errors import ArchiveError, RowError, ServerError
from onnxserve.scratch import Scratch
from tests.helpers.forked import close_in_a_copy
from tests.helpers.handler_transport import HandlerTransport, client_of
from tests.helpers.inference import table_handler

ROWS = [[-1.0, 0.0], np.array([3.0, 0.0], np.float32)]


@pytest.fixture
def handler() -> HandlerTransport:
    return HandlerTransport(table_handler())


def process_of_no_server() -> Any:
    settings = SimpleNamespace(state=Path("state"))
    url, console = "http://127.0.0.1:1", "http://127.0.0.1:2"
    return SimpleNamespace(url=url, console=console, settings=settings, log=Path("state/serve.log"), stop=lambda: None)


@pytest.fixture
def server(handler) -> Server:
    """A server whose process is a handler in this process."""
    server = Server(process_of_no_server())
    server.client = client_of(handler)
    return server


def test_it_is_asked_in_one_request_that_is_sent_again_while_it_is_busy(server, handler):
    handler.first.append(httpx.Response(503, headers={"Retry-After": "0"}))
    predictions = server.predict("demo", ROWS, parameters={"top_k": 2})
    assert [prediction["label"] for prediction in predictions] == ["no", "yes"]
    assert list(predictions[1]["scores"]) == ["yes", "no"]
    assert (predictions.model, predictions.version) == (handler.handler.signature.model, "1.0")
    assert handler.sizes() == [2, 2]
    assert {request.url.path for request in handler.requests} == {"/predictions/demo"}


def test_the_first_bad_row_is_raised_and_named(server, handler):
    with pytest.raises(RowError, match="expected a number") as caught:
        server.predict("demo", [*ROWS, ["red", 0.0]], version="1.0")
    assert (caught.value.row, caught.value.where, caught.value.status) == (2, "instances[2].a", 422)
    assert handler.requests[0].url.path == "/predictions/demo/1.0"
    with pytest.raises(RowError, match="an infinite number") as caught:
        server.predict("demo", [*ROWS, [float("inf"), 0.0]])
    assert caught.value.row == 2
    error = {"error": {"type": "not_finite", "reason": "overflow", "where": "instances[1]"}}
    handler.first.append(httpx.Response(200, json={"predictions": [{"label": "no"}, error]}))
    with pytest.raises(RowError, match="not_finite: overflow") as caught:
        server.predict("demo", ROWS)
    assert caught.value.row == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            httpx.Response(404, json={"error": {"type": "unknown_model", "reason": "no demo"}}),
            "404 unknown_model: no demo",
        ),
        (httpx.Response(200, json={"predictions": [1]}), "1 predictions for 2 rows"),
        (httpx.Response(200, content=b"<html>"), "isn't one of onnxserve"),
    ],
)
def test_an_answer_without_predictions_is_an_error_of_the_request(server, handler, answer, message):
    handler.first.append(answer)
    with pytest.raises(onnxserve.RequestFailed, match=message):
        server.predict("demo", ROWS)


def test_a_server_that_ended_is_said_to_be_so_with_its_log(server, handler, monkeypatch):
    handler.first += [httpx.ConnectError("refused")] * 4
    with pytest.raises(onnxserve.Unreachable, match="no answer: refused") as caught:
        server.predict("demo", ROWS)
    assert caught.value.fix == "see whether it ended in state/serve.log"

    def fail() -> None:
        raise ServerError("TorchServe doesn't <answer>")

    monkeypatch.setattr(server, "status", fail)
    page = server._repr_html_()
    assert server.url in page
    assert "TorchServe doesn&#39;t &lt;answer&gt;" in page


def test_a_closed_server_closes_its_client():
    server = Server(process_of_no_server())
    server.close()
    assert server.client._http.is_closed
    with pytest.raises(ServerError, match="the server was closed"):
        server.predict("demo", ROWS)


def test_a_copy_of_the_program_leaves_the_folder_to_the_program():
    folder = Scratch()
    server = Server(process_of_no_server(), folder)
    close_in_a_copy(server)
    assert folder.path.is_dir()
    server.close()
    assert not folder.path.exists()


def test_its_client_has_the_settings_that_were_given():
    server = Server(process_of_no_server(), options={"key": "secret", "timeout_s": 5.0})
    assert (server.client.settings.key, server.client.settings.timeout_s) == ("secret", 5.0)
    assert server.client.settings.url == server.url
    server.close()


def test_archives_are_named_one_by_one_or_by_their_folder(archive, next_archive, tmp_path):
    both = [("circle", "1.0.0"), ("circle", "2.0.0")]
    assert link_archives([archive, onnxserve.Archive(next_archive)], tmp_path / "several") == both
    assert link_archives(str(archive), tmp_path / "single") == both[:1]
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(archive, folder / "any-name.mar")
    assert link_archives(folder, tmp_path / "store") == both[:1]
    assert (tmp_path / "store" / "circle-1.0.0.mar").resolve() == folder / "any-name.mar"


def test_a_version_is_named_once(archive, tmp_path):
    copy = shutil.copy(archive, tmp_path / "copy.mar")
    with pytest.raises(ServerError, match=r"circle 1\.0\.0 is named twice"):
        link_archives([archive, copy], tmp_path / "store")


@pytest.mark.parametrize("archives", [[], Path()])
def test_no_archive_is_no_server(archives, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ServerError, match="no archive to serve"):
        onnxserve.serve(archives)


def test_a_file_that_is_no_archive_starts_nothing(tmp_path):
    (tmp_path / "text.mar").write_text("text")
    with pytest.raises(ArchiveError, match="not an archive"):
        onnxserve.serve(tmp_path / "text.mar")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"client": {"timeout_s": 0}}, ValueError, "timeout_s must be above 0, got 0"),
        ({"client": {"concurrency": -1}}, ValueError, "concurrency must be above 0"),
        ({"client": {"colour": "red"}}, TypeError, "colour"),
        ({"timeout_s": 0}, ValueError, "timeout_s must be above 0, got 0"),
        ({"timeout_s": float("nan")}, ValueError, "timeout_s must be above 0, got nan"),
    ],
)
def test_arguments_are_refused_before_anything_is_started(arguments, error, message, archive, monkeypatch):
    def start_process(*_: object) -> None:
        pytest.fail("a server was started")

    monkeypatch.setattr("onnxserve.api.server.start_process", start_process)
    with pytest.raises(error, match=message):
        onnxserve.serve(archive, **arguments)
