"""Several hundred clients of a slow model: what is answered is answered in time, all others are told to retry."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

import httpx
import pytest

from onnxserve.gateway.config import Limits
from tests.helpers.blocking_model import gate_of, write_archive
from tests.helpers.gateway import TorchServeClient, gateway_before
from tests.helpers.plugin import needs_plugin
from tests.helpers.raw import Answer, Raw, post_bytes
from tests.helpers.torchserve import Running, running

pytestmark = needs_plugin
CLIENTS = 300
ROW_S, TARGET_S = 0.01, 0.05  # all clients together wait sixty times the target when none is refused
LEARNING_S, SECONDS = 2.0, 6.0
HELD_S = 0.2  # a refusal is held back longer
PAUSE_S = 0.5  # of a client that was refused
CAPACITY = 1000


@dataclass
class Answers:
    """What came after the queue had learnt how fast the model is."""

    seconds: list[float] = field(default_factory=list)
    refused: list[bytes] = field(default_factory=list)  # heads of answers

    def p99(self) -> float:
        return sorted(self.seconds)[len(self.seconds) * 99 // 100]


@pytest.fixture(scope="module")
def slow(tmp_path_factory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("overload")
    changes = {"jobQueueSize": CAPACITY, "tuning": {"p99_ms": TARGET_S * 1000}}
    archive = write_archive(folder / "slow.mar", "slow", folder / "slow", batch=1, row_s=ROW_S, **changes)
    with running(folder / "server", [archive]) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(slow) -> Iterator[TorchServeClient]:
    with gateway_before(slow, limits=Limits(client_percent=100)) as gateway:
        yield gateway


async def ask(port: int, number: int, answers: Answers, began: float) -> None:
    """One client, which sends its next request when the one before was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        count = 0
        while time.monotonic() < began + SECONDS:
            count += 1
            writer.write(post_bytes("/predictions/slow", f"row {number} {count}".encode()))
            sent = time.monotonic()
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
            accepted = head.startswith(b"http/1.1 200 ")
            if sent > began + LEARNING_S and accepted:
                answers.seconds.append(time.monotonic() - sent)
            elif sent > began + LEARNING_S:
                answers.refused.append(head)
            if not accepted:
                await asyncio.sleep(PAUSE_S)
    finally:
        writer.close()


async def ask_all(port: int) -> Answers:
    answers, began = Answers(), time.monotonic()
    async with asyncio.timeout(SECONDS + 60), asyncio.TaskGroup() as clients:
        for number in range(CLIENTS):
            clients.create_task(ask(port, number, answers, began))
    return answers


def test_what_is_answered_at_overload_is_answered_in_time_and_the_rest_is_told_to_retry(slow, gateway):
    answers = asyncio.run(ask_all(gateway.running.gateway.config.listen.port))
    print(f"p99 {1000 * answers.p99():.0f} ms, {len(answers.seconds)} answered, {len(answers.refused)} refused")  # noqa: T201 - shown by -s
    # A quarter of what the model can do: the machine may be busy.
    assert len(answers.seconds) > (SECONDS - LEARNING_S) / ROW_S / 4
    assert answers.p99() < CLIENTS * ROW_S / 2  # half of what all wait when none is refused
    assert answers.refused
    assert {head.split(b" ")[1] for head in answers.refused} == {b"503"}
    assert all(b"\r\nretry-after: 1\r\n" in head for head in answers.refused)


def test_how_many_may_wait_is_shown(slow, gateway):
    asyncio.run(ask_all(gateway.running.gateway.config.listen.port))
    with gate_of(slow, "slow", slow.settings.store.parents[1] / "slow") as gate:
        queue = gate.batching()
    [version] = slow.release.status("slow")
    assert queue["p99_ms"] == TARGET_S * 1000
    assert queue["batch_ms"] > 1000 * ROW_S / 2
    assert 2 <= version.pending_limit == queue["capacity"] < CAPACITY / 10
    assert queue["refused"] + queue["late"] > 0


def test_a_paced_client_beside_a_flood_is_answered(slow):
    with gate_of(slow, "slow", slow.settings.store.parents[1] / "slow") as gate:
        flood = [gate.send(f"flood {number}", "flood") for number in range(60)]
        for number in range(20):
            flood += [gate.send(f"flood {number} {more}", "flood") for more in range(10)]
            assert gate.send(f"paced {number}", "paced").result().status_code == 200
        statuses = {request.result().status_code for request in flood}
        assert 503 in statuses, gate.batching()


def test_a_refusal_comes_no_faster_than_an_answer_keeps_the_connection_and_says_why(slow):
    request = post_bytes("/predictions/slow", b"more", **{"x-onnxserve-client": "flood"})
    with gate_of(slow, "slow", slow.settings.store.parents[1] / "slow") as gate:
        raw = Raw(slow.settings.inference.connect(30))
        try:
            flood, answers = list[Future[httpx.Response]](), list[Answer | None]()
            while len(answers) < 100 and not any(answer and answer.status == 503 for answer in answers):
                flood += [gate.send("flood", "flood") for _ in range(20)]
                sent = time.monotonic()
                answers.append(raw.ask(request))
                took_s = time.monotonic() - sent
            for row in flood:
                assert row.result().status_code in {200, 503}
            later = raw.ask(request)
        finally:
            raw.close()
    refused = answers[-1]
    assert refused is not None
    assert (refused.status, json.loads(refused.body)["error"]["type"]) == (503, "overloaded")
    assert took_s > HELD_S
    assert (refused.headers["x-onnxserve-error"], refused.headers["retry-after"]) == ("overloaded", "1")
    assert later is not None
    assert later.status == 200
