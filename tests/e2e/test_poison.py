"""One client's rows make a handler fail, or end its workers, beside a good client, whose answers nobody may move."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from onnxserve.archive import write_archive
from tests.helpers.gateway import TorchServeClient, gateway_before
from tests.helpers.plugin import needs_plugin
from tests.helpers.raw import Answer, Raw, post_bytes
from tests.helpers.torchserve import running

pytestmark = needs_plugin
PATH = "/predictions/brittle"
STABLE, BEFORE = "2.0.0", "1.0.0"
GOOD, POISON = 6, 3  # clients
OTHERS = "127.0.0.2"  # without keys clients are told apart by their addresses
MOST_KILLERS = 12  # of one client within five minutes, as torchserve/batching-plugin/src/onnxserve/Poison.java says
# A handler of others', whose rows are words.
HANDLER = b"""
import json
import os
import pathlib
import signal
import time


class Brittle:
    def initialize(self, context):
        self.config = context.model_yaml_config

    def handle(self, data, context):
        rows = [bytes(item["body"]).decode() for item in data]
        with pathlib.Path(self.config["log"]).open("a") as log:
            log.write(json.dumps({"worker": os.getpid(), "version": self.config["version"], "rows": rows}) + "\\n")
        time.sleep(0.002)
        if any(row.startswith("segfault") for row in rows):
            os.kill(os.getpid(), signal.SIGSEGV)
        if any(row.startswith("raise") for row in rows):
            raise ValueError("a row that the handler didn't expect")
        for at, row in enumerate(rows):
            if row.startswith("named"):
                context.set_response_status(500, "Internal Server Error", at)
                context.set_response_header(at, "x-onnxserve-error", "not_finite")
        return [json.dumps({"error": {"type": "not_finite", "reason": row, "where": "outputs"}}) for row in rows]
"""


def write_brittle(folder: Path, version: str, log: Path) -> Path:
    """One worker, batches of several clients' rows."""
    config = {"minWorkers": 1, "maxWorkers": 1, "batchSize": 16, "maxBatchDelay": 20, "responseTimeout": 60}
    config |= {"startupTimeout": 60, "jobQueueSize": 200, "maxRetryTimeoutInSec": 300}
    members = {
        "brittle.py": HANDLER,
        "model-config.yaml": json.dumps({**config, "log": str(log), "version": version}).encode(),
    }
    model = {"modelName": "brittle", "modelVersion": version, "handler": "brittle.py"}
    path = folder / f"brittle-{version}.mar"
    write_archive(path, members, {"runtime": "python", "model": {**model, "configFile": "model-config.yaml"}})
    return path


@dataclass
class Client:
    """Asks for rows of one kind until it is told to stop; `outcomes` counts status, version and what is degraded."""

    port: int
    kind: str
    number: int
    address: str = "127.0.0.1"
    outcomes: Counter[tuple[int, str, str]] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    rows: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stop.is_set():
            with contextlib.closing(Raw.connected(self.port, 60, self.address)) as raw:
                while not self.stop.is_set() and self.ask(raw):
                    pass

    def ask(self, raw: Raw) -> bool:
        """Whether the connection can be used again: nginx closes it after a 500."""
        self.rows.append(f"{self.kind} {self.number} {len(self.rows)}")
        answer = raw.ask(post_bytes(PATH, self.rows[-1].encode()))
        assert answer is not None
        self.note(answer)
        return answer.headers.get("connection") != "close"

    def note(self, answer: Answer) -> None:
        headers = answer.headers
        outcome = answer.status, headers["x-onnxserve-version"], headers.get("x-onnxserve-degraded", "")
        if answer.status != 200:
            self.errors[json.loads(answer.body)["error"]["type"]] += 1
            self.errors["with a time to retry"] += "retry-after" in headers
        self.outcomes[outcome] += 1


@dataclass(frozen=True)
class Brittle:
    """The gateway before both versions, and what their workers were given."""

    gateway: TorchServeClient
    log: Path

    def batches(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def deliveries(self, kind: str) -> Counter[tuple[str, str]]:
        """How often each version got each row of a kind."""
        return Counter(
            (str(batch["version"]), row)
            for batch in self.batches()
            for row in batch["rows"]  # type: ignore[attr-defined]
            if row.startswith(kind)
        )

    def both(self, kind: str, poisoned: int) -> tuple[list[Client], list[Client]]:
        """Good clients and others beside each other until the others have so many answers; what both saw."""
        port = self.gateway.running.gateway.config.listen.port
        good = [Client(port, "good", number) for number in range(GOOD)]
        others = [Client(port, kind, number, OTHERS) for number in range(POISON)]
        clients = [*good, *others]
        threads = [threading.Thread(target=client.run, daemon=True) for client in clients]
        for thread in threads:
            thread.start()
        try:
            self._wait(others, poisoned)
            self._wait(good, 20 * GOOD)
        finally:
            for client in clients:
                client.stop.set()
            for thread in threads:
                thread.join(120)
        assert not any(thread.is_alive() for thread in threads)
        return good, others

    @staticmethod
    def _wait(clients: list[Client], answers: int) -> None:
        for _ in range(6000):
            if sum(client.outcomes.total() for client in clients) >= answers:
                return
            threading.Event().wait(0.02)
        raise AssertionError([client.outcomes for client in clients])

    def ejections(self) -> int:
        return (self.gateway.running.gateway.run / "nginx.log").read_text().count("ejected")


@pytest.fixture(scope="module")
def brittle(tmp_path_factory) -> Iterator[Brittle]:
    folder = tmp_path_factory.mktemp("brittle")
    log = folder / "rows.jsonl"
    archives = [write_brittle(folder, version, log) for version in (BEFORE, STABLE)]
    with running(folder / "server", archives) as server, gateway_before(server) as gateway:
        server.release.promote("brittle", STABLE, accept_unproven=True)
        assert server.release.role_store.roles.models["brittle"].fallback == BEFORE
        yield Brittle(gateway, log)


def seen(clients: list[Client]) -> Counter[tuple[int, str, str]]:
    return sum((client.outcomes for client in clients), Counter[tuple[int, str, str]]())


def named(clients: list[Client]) -> Counter[str]:
    return sum((client.errors for client in clients), Counter[str]())


def test_rows_with_an_error_of_their_own_move_nobody_and_are_computed_once(brittle):
    good, others = brittle.both("named", 300)
    assert set(seen(good)) == {(200, STABLE, "")}
    assert set(seen(others)) == {(500, STABLE, "")}
    assert +named(others) == {"not_finite": seen(others).total()}
    assert set(brittle.deliveries("named").values()) == {1}
    assert brittle.ejections() == 0


def test_rows_that_make_a_handler_raise_fail_alone_on_the_version_that_was_asked(brittle):
    good, others = brittle.both("raise", 200)
    assert set(seen(good)) == {(200, STABLE, "")}
    assert set(seen(others)) == {(500, STABLE, "")}
    assert +named(others) == {"internal_error": seen(others).total()}
    tries = brittle.deliveries("raise")
    assert max(tries.values()) <= 2
    assert {version for version, _ in tries} == {STABLE}
    assert brittle.ejections() == 0


def test_rows_that_end_workers_end_two_at_most_until_their_client_is_refused_and_cost_others_no_answer(brittle):
    good, others = brittle.both("segfault", MOST_KILLERS + 2 * POISON)
    assert set(seen(good)) == {(200, STABLE, "")}
    assert set(seen(others)) == {(507, STABLE, ""), (503, STABLE, "")}
    errors = named(others)
    assert errors["worker_ended"] + errors["quarantined"] == seen(others).total()
    assert errors["with a time to retry"] == errors["quarantined"]
    tries = brittle.deliveries("segfault")
    assert max(tries.values()) == 2
    assert MOST_KILLERS <= len(tries) < MOST_KILLERS + POISON
    assert {version for version, _ in tries} == {STABLE}
    assert brittle.ejections() == 0


def test_a_row_that_ended_two_workers_ends_no_more_when_it_is_sent_again(brittle):
    port = brittle.gateway.running.gateway.config.listen.port
    answers = []
    for _ in range(4):
        with contextlib.closing(Raw.connected(port, 60)) as raw:
            answers.append(raw.ask(post_bytes(PATH, b"segfault again and again")))
    outcomes = [
        (answer.status, json.loads(answer.body)["error"]["type"], "retry-after" in answer.headers)
        for answer in answers
        if answer
    ]
    assert outcomes == [(507, "worker_ended", False)] * 4
    assert brittle.deliveries("segfault again and again") == {(STABLE, "segfault again and again"): 2}
    assert brittle.ejections() == 0
