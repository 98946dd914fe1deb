"""Processes of an earlier run, found by what it recorded of them; a process id that was used again is never hit."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import msgspec

PROC = Path("/proc")
SUFFIX = ".process"
WAIT_S = 10.0


class ProcessRecord(msgspec.Struct, frozen=True):
    """A group's leader: its id, when it started in clock ticks since boot, and which boot that was."""

    pid: int
    started: int
    boot: str


def write_record(path: Path, pid: int) -> None:
    """Record a process that has just been started; without /proc, or with a full disk, there is no record."""
    started = start_time(pid)
    if started is not None:
        with contextlib.suppress(OSError):
            path.write_bytes(msgspec.json.encode(ProcessRecord(pid, started, boot_id())))


def end_stale_processes(run: Path) -> list[int]:
    """Kill what is left of the groups recorded in a run folder; the ids of those that were there."""
    killed: list[int] = []
    for path in sorted(run.glob(f"*{SUFFIX}")):
        try:
            record = msgspec.json.decode(path.read_bytes(), type=ProcessRecord)
        except (OSError, msgspec.DecodeError):
            continue  # cut off by a full disk
        killed += end_recorded(record, run.parent)
        path.unlink(missing_ok=True)
    return killed


def end_recorded(record: ProcessRecord, state: Path) -> list[int]:
    """Kill the members of one group and wait until they are gone."""
    members = group_members(record, state)
    for pid, started in members.items():
        kill_exactly(pid, started)
    deadline = time.monotonic() + WAIT_S
    while any(runs(pid, started) for pid, started in members.items()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return sorted(members)


def group_members(record: ProcessRecord, state: Path) -> dict[int, int]:
    """Ids and start times of the leader's session.

    The kernel gives no process an id that a session still has. So if the leader's id belongs to a younger process, the
    session has ended; if the leader has ended, whoever is left must also work below `state`.
    """
    if record.boot != boot_id():
        return {}
    leader = start_time(record.pid)
    if leader not in (None, record.started):
        return {}
    members = {}
    for pid in process_ids():
        started = start_time(pid)
        if session_of(pid) != record.pid or started is None or started < record.started:
            continue
        if leader is not None or works_below(pid, state):
            members[pid] = started
    return members


def process_ids() -> list[int]:
    """All processes that can be seen."""
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()] if PROC.is_dir() else []


def kill_exactly(pid: int, started: int) -> None:
    """SIGKILL through a descriptor of the process, so that the id can't pass to another in between (pidfd_open(2))."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return  # it has ended
    try:
        if start_time(pid) == started:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    finally:
        os.close(descriptor)


def runs(pid: int, started: int) -> bool:
    """Whether a process is still there; one that only waits for its parent to take note (a zombie) is not."""
    fields = _stat(pid)
    return bool(fields) and int(fields[19]) == started and fields[0] != "Z"


def start_time(pid: int) -> int | None:
    """Clock ticks since boot at which a process started; None if there is none."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def session_of(pid: int) -> int | None:
    """A process's session."""
    fields = _stat(pid)
    return int(fields[3]) if fields else None


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on (proc_pid_stat(5)); the second may contain anything."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def works_below(pid: int, folder: Path) -> bool:
    """Whether a process's working folder is `folder` or inside it."""
    try:
        return (PROC / str(pid) / "cwd").resolve().is_relative_to(folder.resolve())
    except OSError:
        return False


def boot_id() -> str:
    """The id of this boot of the machine; empty where there is none."""
    try:
        return (PROC / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
    except OSError:
        return ""
