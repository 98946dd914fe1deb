"""Starting, finding and ending processes, with real ones."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from onnxserve.errors import ServerError
from onnxserve.processes import (
    check_socket_path,
    end_group,
    end_stale_processes,
    lock_run_folder,
    make_run_folder,
    run_to_end,
    spawn,
)
from onnxserve.processes.stale_processes import ProcessRecord, boot_id, end_recorded, start_time
from tests.helpers.waiting import wait_for

OF_THE_C_LIBRARY = 1 << 31 | 1 << 32  # signals 32 and 33: the C library lets no program set them
HARMLESS = signal.SIGURG  # ignored by default: a child that outlives its parent
# Two processes: a leader that has a child and writes the child's id.
PAIR = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""
# Starts one in the way that is tested, says which, and waits to be killed.
PARENT = """
import sys, time
from pathlib import Path
from onnxserve.processes import spawn
folder = Path(sys.argv[1])
command = [sys.executable, "-c", "import time; time.sleep(600)"]
print(spawn(command, folder=folder, log=folder / "log").pid, flush=True)
time.sleep(600)
"""
WRITE = """
import contextlib, os, pathlib
with contextlib.suppress(OSError):
    os.write(1, b"x")
pathlib.Path("done").touch()
"""
CONNECT = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
connect = lambda: socket.socket(socket.AF_UNIX).connect(sys.argv[1])
for action in (connect, lambda: os.listdir(os.path.dirname(sys.argv[1]))):
    try:
        action()
        print("allowed")
    except PermissionError:
        print("refused")
"""


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@contextlib.contextmanager
def pair(folder: Path, **options) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A leader and the id of its child."""
    log = folder / "pair.log"
    process = spawn([sys.executable, "-c", PAIR], folder=folder, log=log, **options)
    try:
        wait_for(lambda: log.read_text().endswith("\n"))
        yield process, int(log.read_text())
    finally:
        end_group(process, signal.SIGKILL, 0)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    make_run_folder(folder)
    return folder


def test_a_group_ends_with_its_leader_and_its_output_is_appended(tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    child = spawn([sys.executable, "-c", "print('after')"], folder=tmp_path, log=log)
    child.wait(20)
    end_group(child, signal.SIGTERM, 5)
    assert log.read_text() == "before\nafter\n"
    with pair(tmp_path) as (leader, member):
        end_group(leader, signal.SIGTERM, 10)
        assert leader.returncode == -signal.SIGTERM
        wait_for(lambda: gone(member))


def test_a_program_that_is_run_to_its_end_gives_its_status_and_what_it_wrote(tmp_path):
    program = "import os, sys; print(os.getcwd()); print(flush=True); sys.exit(os.environ['WORD'])"
    command, environment = [sys.executable, "-c", program], {**os.environ, "WORD": "no"}
    assert run_to_end(command, folder=tmp_path, environment=environment) == (1, [str(tmp_path), "no"])
    assert run_to_end(command, folder=tmp_path, environment=environment, errors_only=True) == (1, ["no"])
    with pytest.raises(ServerError, match="there is no such program"):
        run_to_end(["no-such-program"], folder=tmp_path)


def test_a_stopped_group_is_killed(tmp_path):
    with pair(tmp_path) as (leader, member):
        os.kill(leader.pid, signal.SIGSTOP)
        wait_for(lambda: psutil.Process(leader.pid).status() == psutil.STATUS_STOPPED)
        end_group(leader, signal.SIGTERM, 0.2)
        assert leader.returncode == -signal.SIGKILL
        wait_for(lambda: gone(member))


def test_a_child_ends_when_its_parent_is_killed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert not gone(child)
        parent.kill()
    wait_for(lambda: gone(child))


def test_a_child_starts_with_default_signals_though_its_parent_ignores_some(tmp_path):
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        child = spawn(["grep", "SigIgn", "/proc/self/status"], folder=tmp_path, log=tmp_path / "log")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    child.wait(20)
    end_group(child, signal.SIGTERM, 0)
    ignored = int((tmp_path / "log").read_text().split()[1], 16)
    assert ignored & ~OF_THE_C_LIBRARY == 0


def test_a_program_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ServerError, match="no such program"):
        spawn(["/nowhere/nginx"], folder=tmp_path, log=tmp_path / "log")


def test_a_full_disk_costs_the_log_and_nothing_else(tmp_path):
    command = [sys.executable, "-c", WRITE]
    child = spawn(command, folder=tmp_path, log=Path("/dev/full"))
    assert child.wait(20) == 0
    end_group(child, signal.SIGTERM, 0)
    assert (tmp_path / "done").exists()
    child = spawn(command, folder=tmp_path, log=tmp_path / "no" / "folder" / "log", record=Path("/dev/full"))
    assert child.wait(20) == 0
    end_group(child, signal.SIGTERM, 0)


def test_who_lingers_is_found_by_the_record_and_ended(run):
    with pair(run, death=HARMLESS, record=run / "pair.process") as (leader, member):
        assert end_stale_processes(run) == sorted([leader.pid, member])
        assert gone(member)
        assert leader.wait(5) == -signal.SIGKILL
    assert not list(run.glob("*.process"))
    assert end_stale_processes(run) == []


def test_a_member_is_found_though_its_leader_has_ended_if_it_works_below_the_state_folder(run, tmp_path):
    with pair(run, death=HARMLESS, record=run / "pair.process") as (leader, member):
        record = json.loads((run / "pair.process").read_bytes())
        leader.kill()
        leader.wait(5)
        assert end_recorded(ProcessRecord(**record), tmp_path / "another") == []
        assert not gone(member)
        assert end_stale_processes(run) == [member]
        assert gone(member)


@pytest.mark.parametrize(
    "change", [{"started": 1}, {"boot": "another boot"}], ids=["the id was used again", "another boot"]
)
def test_a_process_that_only_has_the_same_id_is_never_hit(run, change):
    with pair(run, death=HARMLESS) as (leader, member):
        started = start_time(leader.pid)
        assert started
        record = ProcessRecord(**{"pid": leader.pid, "started": started, "boot": boot_id(), **change})
        assert end_recorded(record, run.parent) == []
        assert not gone(leader.pid)
        assert not gone(member)


def test_a_record_that_a_full_disk_cut_is_passed_over(run):
    (run / "x.process").write_bytes(b'{"pid": 1')
    assert end_stale_processes(run) == []


def test_a_second_supervisor_is_refused_and_a_killed_one_leaves_no_lock(run):
    holder = f"""
import time
from pathlib import Path
from onnxserve.processes import lock_run_folder
with lock_run_folder(Path({str(run)!r})):
    print("held", flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ServerError, match=f"another server .* \\(process {other.pid}\\)"), lock_run_folder(run):
            pass
        other.kill()
    with lock_run_folder(run):
        assert (run / "lock").read_text() == str(os.getpid())


def test_an_older_run_folder_that_others_may_enter_is_closed_and_a_link_is_refused(tmp_path):
    (tmp_path / "run").mkdir(mode=0o777)
    make_run_folder(tmp_path / "run")
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with pytest.raises(ServerError, match="isn't a folder of this user"):
        make_run_folder(tmp_path / "link")


def test_another_user_reaches_neither_the_run_folder_nor_a_socket_in_it():
    """Root becomes another user and tries; any other user can't, so the modes are judged."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        Path(folder).chmod(0o755)  # a state folder that others may enter
        run = Path(folder) / "run"
        make_run_folder(run)
        listener.bind(str(run / "management.sock"))
        (run / "management.sock").chmod(0o777)
        listener.listen()
        assert stat.S_IMODE(run.stat().st_mode) == 0o700
        assert run.stat().st_uid == os.geteuid()
        if os.geteuid() == 0:
            command = [sys.executable, "-I", "-S", "-c", CONNECT, str(run / "management.sock")]
            completed = subprocess.run(command, capture_output=True, text=True, check=True)
            assert completed.stdout.split() == ["refused", "refused"]


def test_a_path_that_is_too_long_for_a_socket_is_an_error_with_a_fix():
    check_socket_path(Path("/" + "x" * 106))
    with pytest.raises(ServerError, match="at most 107 bytes, this one has 108") as caught:
        check_socket_path(Path("/" + "x" * 107))
    assert "--state" in caught.value.fix


def test_a_run_folder_too_deep_for_sockets_is_refused_before_anything_is_made_in_it(tmp_path):
    deep = tmp_path / ("x" * 100) / "run"
    with pytest.raises(ServerError, match="the path of a socket must have at most 107 bytes") as caught:
        make_run_folder(deep)
    assert "--state" in caught.value.fix
    assert not deep.parent.exists()
