"""Our worker after faults: it logs them, ends when it must, and otherwise continues."""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from onnxserve.torchserve import free_ports
from tests.helpers.frontend import FAST, ROOT, Worker, batch_frame, integer, load_frame, plain, request, started, text
from tests.helpers.waiting import wait_for

HANDLER = """
import sys


class Rude:
    def initialize(self, context):
        self.context = context

    def handle(self, data, context):
        order = bytes(data[0]["body"])
        if order == b"exit":
            sys.exit(3)
        if order == b"phrase":
            context.set_response_status(422, "zu lang\\nund \\u00fc", 0)
            context.set_response_header(0, "X-Odd", "a\\r\\nb")
        if order == b"status":
            context.set_response_status("not a number", "x", 0)
        if order == b"secret":
            raise ValueError("Authorization: Bearer abc.def to https://me:hunter2@host with osk_Zm9v-bar")
        if order == b"recursion":
            return self.handle(data, context)
        return ["fine"] * len(data)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rude.py").write_text(HANDLER)
    return tmp_path


@pytest.fixture
def worker(folder: Path) -> Iterator[Worker]:
    with started(FAST, folder) as process:
        process.ask(load_frame(folder, "rude.py"))
        yield process


@pytest.mark.parametrize("order", [b"exit", b"recursion", b"status"])
def test_a_rude_handler_gets_an_error_and_the_worker_goes_on(worker, order):
    assert b"Prediction failed" in worker.ask(batch_frame(plain("a", order)))
    assert b"fine" in worker.ask(batch_frame(plain("a", b"x")))


def test_an_event_is_a_line_of_json_with_model_and_requests_and_without_secrets(worker):
    worker.ask(batch_frame(plain("a", b"x")))
    failing = request("b", {"x-request-id": "seen-by-caller"}, [("body", "text", b"secret")])
    worker.ask(batch_frame(failing, plain("c", b"x")))
    assert worker.has_printed("Invoking custom service failed")
    [line] = [json.loads(text) for text in worker.output if "Invoking" in text]
    assert line["requests"] == ["seen-by-caller", "c"]
    assert (line["level"], line["model"], line["logger"]) == ("WARNING", "demo", "fastworker.service")
    assert "ValueError" in line["exception"]
    for secret in ("abc.def", "hunter2", "osk_Zm9v-bar"):
        assert secret not in str(line)


def test_a_status_line_and_headers_are_made_fit_for_http(worker):
    answer = worker.ask(batch_frame(plain("a", b"phrase")))
    assert b"zu lang und ?" in answer
    assert b"a b" in answer
    assert b"a\r" not in answer


def test_a_frame_may_come_in_any_pieces(worker):
    frame = batch_frame(*(plain(f"id{i}", bytes(range(256)) * i) for i in range(8)))
    whole = worker.ask(frame)
    for size in (1, 7, 1000):
        for at in range(0, len(frame), size):
            worker.connection.sendall(frame[at : at + size])
        assert worker.answer() == whole


def test_two_messages_in_one_piece_are_both_answered(worker):
    frame = batch_frame(plain("a", b"x"))
    worker.connection.sendall(frame * 3)
    assert worker.answer() == worker.answer() == worker.answer()


def test_a_large_body_is_read_whole(worker):
    body = random.Random(0).randbytes(20_000_000)
    assert b"fine" in worker.ask(batch_frame(plain("a", body)))


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"X", "unknown command b'X'"),
        (b"I" + integer(-7), "a field of -7 bytes"),
        (b"I" + integer(2**31 - 1), "a field of 2147483647 bytes"),
        (b"I" + text(b"\xff"), "not UTF-8"),
        (b"I" + text("id") + text("name") + integer(-1), "a header without a value"),
        (
            b"I" + text("id") + integer(-1) + text("n") + text("t") + integer(-1),
            "a list ended",
        ),
        (b"L" + integer(-1), "a list ended"),
    ],
)
def test_garbage_ends_the_worker_with_a_reason(worker, frame, reason):
    worker.connection.sendall(frame)
    assert worker.wait() == 1
    assert worker.has_printed(reason)


def test_random_bytes_never_hang_or_crash_it(folder):
    rng = random.Random(1)
    for _ in range(4):
        with started(FAST, folder) as worker:
            worker.connection.sendall(b"I" + rng.randbytes(4000))
            worker.connection.shutdown(1)
            assert worker.wait() in (0, 1)
            assert not worker.has_printed("Traceback", 0.1)


def test_a_batch_before_a_model_ends_it(folder):
    with started(FAST, folder) as worker:
        worker.connection.sendall(batch_frame(plain("a", b"x")))
        assert worker.wait() == 1
        assert worker.has_printed("a batch came before a model was loaded")


@pytest.mark.parametrize("frame", [b"", b"I", batch_frame(plain("a", b"xyz"))[:-9]])
def test_a_frontend_that_leaves_ends_it_quietly(worker, folder, frame):
    worker.connection.sendall(frame)
    worker.connection.close()
    assert worker.wait() == 0
    assert not list(folder.glob(".sock.*"))


def test_a_broken_import_is_named(tmp_path):
    (tmp_path / "needs.py").write_text("import nothing_of_that_name\n")
    with started(FAST, tmp_path) as worker:
        worker.ask(load_frame(tmp_path, "needs.py"))
        assert worker.has_printed("No module named 'nothing_of_that_name'")
        assert worker.wait() == 1


def test_two_classes_in_a_handler_are_refused_by_name(tmp_path):
    (tmp_path / "two.py").write_text("class A: pass\nclass B: pass\n")
    with started(FAST, tmp_path) as worker:
        worker.ask(load_frame(tmp_path, "two.py"))
        assert worker.has_printed("expected one class or a function in handler 'two'")


def test_torchserves_own_handler_runs_where_torch_is_installed(tmp_path):
    with started(FAST, tmp_path) as worker:
        worker.ask(load_frame(tmp_path, "image_classifier"))
        assert not worker.has_printed("No module named 'ts", 0.5)
        assert worker.has_printed("ts/torch_handler")


def test_it_listens_on_tcp_too(folder):
    [port] = free_ports(1)
    with started(FAST, folder, tcp=port) as worker:
        worker.ask(load_frame(folder, "rude.py"))
        assert b"fine" in worker.ask(batch_frame(plain("a", b"x")))


def test_async_communication_is_refused(folder):
    command = [sys.executable, str(FAST), "--sock-type", "unix", "--sock-name", str(folder / "s.1"), "--async"]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert completed.returncode == 1
    assert "asyncCommunication is not supported" in completed.stdout


def test_metrics_are_printed_at_most_once_a_second_and_when_idle(worker):
    def printed() -> int:
        return sum(line.startswith("[METRICS]PredictionTime") for line in worker.output)

    began = time.monotonic()
    while time.monotonic() < began + 2.2:
        worker.ask(batch_frame(plain("a", b"x")))
    time.sleep(1.2)
    wait_for(lambda: printed() >= 2)
    assert printed() <= time.monotonic() - began + 1


def test_it_needs_nothing_but_the_standard_library_and_little_memory(tmp_path):
    modules = sorted(path.stem for path in (FAST.parent / "fastworker").glob("*.py"))
    code = "import sys\n" + "".join(f"import fastworker.{name}\n" for name in modules if name != "__init__")
    code += "print('torch' in sys.modules)"
    # -S leaves site-packages out; of ours there are the handlers' pure modules.
    command, alone = [sys.executable, "-S", "-c", code], {**os.environ, "PYTHONPATH": str(ROOT / "handlers")}
    completed = subprocess.run(command, cwd=FAST.parent, env=alone, capture_output=True, text=True, check=True)
    assert completed.stdout.strip() == "False"


def test_with_our_runtime_loaded_it_takes_less_than_70_megabytes(tmp_path):
    # What every archive of ours imports, without a model.
    (tmp_path / "bare.py").write_text(
        "import numpy, onnxruntime, msgspec, tokenizers\n"
        "class Bare:\n    def initialize(self, context): pass\n    def handle(self, data, context): return data\n"
    )
    with started(FAST, tmp_path) as worker:
        assert worker.ask(load_frame(tmp_path, "bare.py"))[:4] == struct.pack("!i", 200)
        megabytes = psutil.Process(worker.process.pid).memory_info().rss / 1e6
    assert megabytes < 70


def test_its_version_is_the_pinned_torchserves():
    pinned = (ROOT / "pyproject.toml").read_text()
    assert f'"torchserve=={(FAST.parent / "version.txt").read_text().strip()}"' in pinned
