"""Each hostile row over HTTP, through the gateway and TorchServe, beside a good client whose answers stay the same."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest

from onnxserve_handlers.inputs.audio import OPEN_ENDED
from onnxserve_handlers.protocols.v2_grpc import MEDIA as GRPC
from tests.helpers import plain_http
from tests.helpers.archive_cache import fill_once
from tests.helpers.attacks import ATTACKS
from tests.helpers.attacks.protocols import PROTOCOLS
from tests.helpers.attacks.rows import Attack
from tests.helpers.attacks.values import bodies, elements, rows
from tests.helpers.gateway import TorchServeClient, gateway_before
from tests.helpers.inference import HEADER, JSON
from tests.helpers.protocol_requests import Request, tensors_of_row
from tests.helpers.task_models import MODELS
from tests.helpers.torchserve import running

MOST_BYTES = 4_000_000  # of a body
PATHS = {"embeddings": "/v1/embeddings", "rerank": "/rerank", "v2": "/v2/models/{task}/infer"}
TASKS = sorted({attack.task for attack in ATTACKS})


def export_models(folder: Path) -> None:
    """Export the small model of each task, with bodies as large as the attacks'."""
    from onnxserve_export.export import export_model
    from onnxserve_export.options import ExportOptions
    from onnxserve_export.steps import STEPS

    for task, model in MODELS.items():
        limited = f"max_bytes = {MOST_BYTES}\n" + re.sub(r"max_bytes = \d+", "", model.inputs)
        written = replace(model, inputs=limited).write(folder / "models" / task)
        export_model(written, folder, STEPS, lambda _: None, options=ExportOptions(draft=True))


@pytest.fixture(scope="module")
def gateway(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorchServeClient]:
    store = tmp_path_factory.mktemp("tasks")
    fill_once(pytestconfig, "tasks", store, export_models)
    with (
        running(tmp_path_factory.mktemp("server"), sorted(store.glob("*.mar"))) as server,
        gateway_before(server) as client,
    ):
        yield client


def pids(gateway: TorchServeClient, task: str) -> list[int]:
    versions = gateway.server.release.management.versions(task)
    return [worker.pid for version in versions for worker in version.workers]


@dataclass
class Neighbour:
    """A client that sends one good row again and again until it is told to stop."""

    url: str
    task: str
    answers: set[tuple[int, bytes]] = field(default_factory=set)
    count: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        body = json.dumps({"instances": [MODELS[self.task].rows[0]]}).encode()
        with plain_http.client(base_url=self.url, timeout=60) as http:
            while not self.stop.is_set():
                answer = http.post(f"/predictions/{self.task}", content=body, headers={"content-type": JSON})
                self.answers.add((answer.status_code, answer.content))
                self.count += 1


def sent(http: httpx.Client, attack: Attack) -> httpx.Response:
    body = attack.body
    if attack.protocol in ("embeddings", "rerank"):
        body = re.sub(rb"^\{(?!\s*\}|\"model\"|$)", b'{"model": "%s", ' % attack.task.encode(), body)
    headers = {"content-type": attack.kind} | ({"content-encoding": attack.coding} if attack.coding else {})
    path = PATHS.get(attack.protocol, "/predictions/{task}").format(task=attack.task)
    return http.post(path, content=body, headers=headers)


@pytest.mark.parametrize("task", TASKS)
def test_hostile_rows_get_their_errors_and_move_nobody(gateway, task):
    before, neighbour = pids(gateway, task), Neighbour(gateway.url, task)
    thread = threading.Thread(target=neighbour.run, daemon=True)
    thread.start()
    wrong = []
    with plain_http.client(base_url=gateway.url, timeout=60) as http:
        for attack in (attack for attack in ATTACKS if attack.task == task):
            answer = sent(http, attack)
            place = "" if attack.status == 200 else attack.where.rstrip("*")
            if answer.status_code != attack.status or place not in answer.text:
                wrong.append((attack.name, attack.status, answer.status_code, answer.text[:300]))
    neighbour.stop.set()
    thread.join(60)
    assert wrong == []
    assert pids(gateway, task) == before
    assert neighbour.count > 5
    assert [status for status, _ in neighbour.answers] == [200]


def of_any_protocol(task: str, folder: Path) -> dict[str, tuple[str, Request]]:
    """Return the paths and bodies, by name, of requests with one thing wrong; calls of gRPC need another client."""
    handler = MODELS[task].handler(folder)
    arrays = tensors_of_row(handler, MODELS[task].rows[0])
    v2, plain = f"/v2/models/{task}/infer", f"/predictions/{task}"
    requests = {
        f"{name} {what}": (v2, request)
        for name in ("v2 json", "v2 binary")
        for what, request in PROTOCOLS[name](arrays)
    }
    requests |= {f"npy {what}": (plain, request) for what, request in PROTOCOLS["npy"](arrays)}
    requests |= {f"texts {what}": (v2, request) for what, request in elements(handler.signature.input.row_name or "x")}
    requests |= {f"rows {what}": (plain, request) for what, request in (*rows(), *bodies(tuple(handler.raw_types)))}
    return {
        name: (path, request)
        for name, (path, request) in requests.items()
        if request[1]["content-type"] != GRPC and request[1].get(HEADER, "").isascii()
    }


@pytest.mark.parametrize("task", MODELS)
def test_whatever_is_wrong_with_a_request_of_any_protocol_is_never_our_fault(gateway, task, tmp_path):
    before, neighbour = pids(gateway, task), Neighbour(gateway.url, task)
    thread = threading.Thread(target=neighbour.run, daemon=True)
    thread.start()
    wrong, requests = [], of_any_protocol(task, tmp_path / task)
    with plain_http.client(base_url=gateway.url, timeout=60) as http:
        for name, (path, (body, headers)) in requests.items():
            answer = http.post(path, content=body, headers=headers)
            if answer.status_code not in (200, 400, 413, 415, 422):
                wrong.append((name, answer.status_code, answer.text[:300]))
    neighbour.stop.set()
    thread.join(60)
    assert wrong == []
    assert len(requests) > 200
    assert pids(gateway, task) == before
    assert [status for status, _ in neighbour.answers] == [200]


def test_an_answer_to_a_sound_that_does_not_say_where_it_ends_comes_with_a_mark(gateway):
    marks = {"FLAC of a pipe": "1", "a tag before a sound": None}
    with plain_http.client(base_url=gateway.url, timeout=60) as http:
        for attack in (attack for attack in ATTACKS if attack.name in marks):
            answer = sent(http, attack)
            assert (answer.status_code, answer.headers.get(OPEN_ENDED)) == (200, marks[attack.name])
