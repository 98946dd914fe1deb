"""The rights that a worker gives up with ONNXSERVE_CONFINE."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from fastworker.seccomp import filter_network
from tests.helpers.frontend import FAST, batch_frame, load_frame, plain, started

HANDLER = """
class Rude:
    def initialize(self, context):
        self.context = context

    def handle(self, data, context):
        order = bytes(data[0]["body"])
        if order == b"connect":
            import socket
            try:
                socket.create_connection(("127.0.0.1", int(data[1]["body"])), 2).close()
                return ["connected"] * len(data)
            except OSError as error:
                return [f"refused: {error}"] * len(data)
        if order == b"limits":
            import resource
            names = ("RLIMIT_CORE", "RLIMIT_DATA", "RLIMIT_NOFILE")
            status = [line for line in open("/proc/self/status") if line.startswith("NoNewPrivs")]
            return [repr([resource.getrlimit(getattr(resource, name))[0] for name in names] + status)] * len(data)
        if order == b"memory":
            bytearray(2**30)
        return ["fine"] * len(data)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rude.py").write_text(HANDLER)
    return tmp_path


def test_a_worker_without_a_network_still_answers_and_reaches_nobody(folder):
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = str(somebody.getsockname()[1]).encode()
        frame = batch_frame(plain("a", b"connect"), plain("b", port))
        with started(FAST, folder) as free:
            free.ask(load_frame(folder, "rude.py"))
            assert b"connected" in free.ask(frame)
        with started(FAST, folder, ONNXSERVE_CONFINE="no-network") as confined:
            confined.ask(load_frame(folder, "rude.py"))
            assert confined.has_printed("confined: no-network")
            assert b"refused" in confined.ask(frame)


# As Docker's and systemd's filters do: no namespaces. Then the worker, which must not need any.
FILTERED = """
import ctypes, sys
sys.path.insert(0, sys.argv[1])
from fastworker import kernel, seccomp
UNSHARE, SETNS = {{"x86_64": (272, 308), "aarch64": (97, 268)}}[seccomp.platform.machine()]
refuse = (seccomp.RETURN, 0, 0, seccomp.ERRNO | 1)
lines = [(seccomp.LOAD, 0, 0, seccomp.NUMBER)]
for number in (UNSHARE, SETNS):
    lines += [(seccomp.EQUAL, 0, 1, number), refuse]
lines += [(seccomp.RETURN, 0, 0, seccomp.ALLOW)]
kernel.no_new_privileges()
program = seccomp.Program(len(lines), (seccomp.Instruction * len(lines))(*lines))
kernel.call("prctl", seccomp.SET_SECCOMP, seccomp.MODE_FILTER, ctypes.byref(program), 0, 0)
import runpy
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_no_network_needs_no_namespace_and_works_where_containers_forbid_them(folder):
    script = folder / "filtered.py"
    script.write_text(FILTERED.replace("{{", "{").replace("}}", "}"))
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = str(somebody.getsockname()[1]).encode()
        with started(script, folder, before=(str(FAST.parent), str(FAST)), ONNXSERVE_CONFINE="no-network") as worker:
            worker.ask(load_frame(folder, "rude.py"))
            assert worker.has_printed("confined: no-network")
            assert b"refused" in worker.ask(batch_frame(plain("a", b"connect"), plain("b", port)))
            assert psutil.Process(worker.process.pid).username() == psutil.Process().username()


AROUND = {
    "inet": "import socket; socket.socket(socket.AF_INET)",
    "inet6": "import socket; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
    "netlink": "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "packet": "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "vsock": "import socket; socket.socket(socket.AF_VSOCK)",
    "io_uring": "libc(425, 8, ctypes.create_string_buffer(120))",
    "pidfd_getfd": "libc(438, os.pidfd_open(os.getpid()), 0, 0)",
    "ptrace": "libc({'x86_64': 101, 'aarch64': 117}[os.uname().machine], 16, 1, 0, 0)",
    "a child": "import subprocess, sys; "
    "subprocess.run([sys.executable, '-c', 'import socket; socket.socket()'], check=True, stderr=subprocess.DEVNULL)",
}
ASKING = """
import ctypes, os, sys
sys.path.insert(0, sys.argv[1])
def libc(*words):
    found = ctypes.CDLL(None, use_errno=True)
    if found.syscall(*words) < 0:
        raise OSError(ctypes.get_errno(), "refused")
if sys.argv[3] == "confined":
    from fastworker.confine import confine
    confine({"ONNXSERVE_CONFINE": "no-network"})
import socket
left, right = socket.socketpair()
left.sendall(b"x")
assert right.recv(1) == b"x"
try:
    exec(sys.argv[2])
except Exception as error:
    print(type(error).__name__, getattr(error, "errno", ""))
else:
    print("got it")
"""


@pytest.mark.parametrize("way", AROUND.values(), ids=AROUND)
def test_no_way_around_the_filter_gives_a_network(way):
    command = [sys.executable, "-c", ASKING, str(FAST.parent), way]
    completed = subprocess.run([*command, "confined"], capture_output=True, text=True, check=True, timeout=60)
    assert completed.stdout.strip() in {"OSError 97", "PermissionError 1", "CalledProcessError"}
    if "AF_INET" in way or way == AROUND["a child"]:
        free = subprocess.run([*command, "free"], capture_output=True, text=True, check=True, timeout=60)
        assert free.stdout.strip() == "got it"


def test_a_machine_without_a_known_filter_starts_no_worker_that_was_to_have_none(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "vax")
    with pytest.raises(OSError, match="vax"):
        filter_network()


def test_limits_hold_and_too_much_memory_is_one_batchs_error(folder):
    with started(FAST, folder, ONNXSERVE_CONFINE="memory=512, files=256") as worker:
        worker.ask(load_frame(folder, "rude.py"))
        limits = worker.ask(batch_frame(plain("a", b"limits")))
        assert f"[0, {512 * 2**20}, 256, 'NoNewPrivs".encode() in limits
        assert b"NoNewPrivs:\\t1" in limits
        assert b"Out of resources" in worker.ask(batch_frame(plain("a", b"memory")))
        assert b"fine" in worker.ask(batch_frame(plain("a", b"x")))


@pytest.mark.parametrize("words", ["no-netwrok", "memory=", "memory=-1", "files=99999999999"])
def test_a_worker_that_cannot_be_confined_as_asked_does_not_start(words):
    command = [sys.executable, str(FAST), "--sock-type", "unix", "--sock-name", "/nowhere/s.1"]
    environment = {**os.environ, "ONNXSERVE_CONFINE": words}
    completed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert completed.returncode == 1
    assert "the worker ends" in completed.stdout
