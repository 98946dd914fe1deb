"""The frontend's side of the worker protocol: it starts a worker, sends frames, and reads responses as bytes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from onnxserve.processes import bound

ROOT = Path(__file__).parents[2]
FAST = ROOT / "torchserve" / "worker" / "ts" / "model_service_worker.py"
METRICS = ROOT / "torchserve" / "metrics.yaml"
END = struct.pack("!i", -1)
Parameter = tuple[str, str, bytes]


def stock() -> Path:
    """Return the script of TorchServe's own worker."""
    spec = find_spec("ts")
    assert spec
    assert spec.origin
    return Path(spec.origin).with_name("model_service_worker.py")


def integer(value: int) -> bytes:
    return struct.pack("!i", value)


def text(content: bytes | str) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    return integer(len(content)) + content


def load_frame(folder: Path, handler: str, *, gpu: int = -1, envelope: str = "", batch: int = 4) -> bytes:
    head = b"L" + text("demo") + text(str(folder)) + integer(batch) + text(handler)
    return head + integer(gpu) + text(envelope) + b"\x01"


def request(id_: str, headers: dict[str, str], parameters: list[Parameter]) -> bytes:
    packed = b"".join(text(name) + text(value) for name, value in headers.items()) + END
    rest = b"".join(text(name) + text(kind) + text(value) for name, kind, value in parameters) + END
    return text(id_) + packed + rest


def batch_frame(*requests: bytes) -> bytes:
    return b"I" + b"".join(requests) + END


def plain(id_: str, body: bytes, kind: str = "application/octet-stream") -> bytes:
    return request(id_, {"content-type": kind}, [("body", kind, body)])


@dataclass
class Worker:
    """A started worker and our connection to it."""

    process: subprocess.Popen[bytes]
    connection: socket.socket
    output: list[str] = field(default_factory=list)

    def ask(self, frame: bytes) -> bytes:
        """Send one message, and return the bytes of its response."""
        self.connection.sendall(frame)
        return self.answer()

    def answer(self) -> bytes:
        """Return the bytes of one response: code, message, and items up to the end mark."""
        received = self._take(4) + self._field()
        while (size := self._take(4)) != END:
            received += size + self._take(struct.unpack("!i", size)[0])
            received += self._field() + self._take(4) + self._field()
            count = self._take(4)
            received += count + b"".join(self._field() for _ in range(2 * struct.unpack("!i", count)[0]))
            received += self._field()
        return received + END

    def wait(self, timeout: float = 60) -> int:
        """Return the exit status."""
        return self.process.wait(timeout)

    def has_printed(self, text: str, timeout: float = 60) -> bool:
        """Return whether a line with this text is printed in time."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if any(text in line for line in self.output):
                return True
            time.sleep(0.02)
        return False

    def _field(self) -> bytes:
        size = self._take(4)
        return size + self._take(struct.unpack("!i", size)[0])

    def _take(self, count: int) -> bytes:
        received = b""
        while len(received) < count:
            chunk = self.connection.recv(count - len(received))
            assert chunk, "the worker closed the connection:\n" + "\n".join(self.output[-20:])
            received += chunk
        return received


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Return the environment of a worker: the folder on the path, no JSON decoding unless `variables` say so."""
    return os.environ | {"PYTHONPATH": str(folder), "TS_DECODE_INPUT_REQUEST": "false"} | variables


@contextlib.contextmanager
def started(
    script: Path, folder: Path, *extra: str, tcp: int | None = None, before: tuple[str, ...] = (), **variables: str
) -> Iterator[Worker]:
    """Start a worker in `folder` and connect to it; it is killed at the end if it still runs.

    `before` are arguments of a script that starts the worker itself.
    """
    place = ["--sock-type", "tcp", "--port", str(tcp)] if tcp else ["--sock-type", "unix", "--sock-name"]
    name = str(folder / f".sock.{os.getpid() % 10000}")
    command = [sys.executable, str(script), *before, *place, *([] if tcp else [name])]
    command += ["--metrics-config", str(METRICS), *extra]
    process = subprocess.Popen(
        bound(command, signal.SIGKILL),
        cwd=folder,
        env=environment(folder, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    connection = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
    worker = Worker(process, connection)
    reader = threading.Thread(target=_read, args=(process, worker.output), daemon=True)
    reader.start()
    try:
        assert worker.has_printed("Torch worker started.", 60), worker.output
        connection.settimeout(60)
        connection.connect(("127.0.0.1", tcp) if tcp else name)
        yield worker
    finally:
        connection.close()
        process.kill()
        process.wait()
        reader.join(5)


def _read(process: subprocess.Popen[bytes], output: list[str]) -> None:
    assert process.stdout
    with process.stdout as stream:
        for line in stream:
            output.append(line.decode(errors="replace").rstrip("\n"))  # noqa: PERF401 - as they come
