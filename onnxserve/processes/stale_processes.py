"""Stale processes of an earlier run, found by its records; a process that reuses a recorded id is never killed."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

PROC = Path("/proc")
SUFFIX = ".process"
WAIT_S = 10.0


class ProcessRecord(msgspec.Struct, frozen=True):
    """The leader of a process group: its id, its start time in clock ticks since boot, and the id of that boot."""

    pid: int
    started: int
    boot: str


def write_record(path: Path, pid: int) -> None:
    """Record a process that was just started; without /proc or on a full disk no record is written."""
    started = start_time(pid)
    if started is not None:
        with contextlib.suppress(OSError):
            path.write_bytes(msgspec.json.encode(ProcessRecord(pid, started, boot_id())))


def end_stale_processes(run: Path) -> list[int]:
    """Kill what is left of the groups recorded in a run folder; return the ids of the killed processes."""
    killed: list[int] = []
    for path, record in read_records(run):
        killed += end_recorded(record, run.parent)
        path.unlink(missing_ok=True)
    return killed


def stale_processes_of(run: Path) -> list[int]:
    """Return the ids of the processes that `end_stale_processes` would kill."""
    return sorted(pid for _, record in read_records(run) for pid in group_members(record, run.parent))


def read_records(run: Path) -> Iterator[tuple[Path, ProcessRecord]]:
    """Yield the records of a run folder with their paths; one that a full disk cut short is left out."""
    for path in sorted(run.glob(f"*{SUFFIX}")):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            yield path, msgspec.json.decode(path.read_bytes(), type=ProcessRecord)


def end_recorded(record: ProcessRecord, state: Path) -> list[int]:
    """Kill the members of one group and wait until they have ended; return their ids."""
    members = group_members(record, state)
    for pid, started in members.items():
        kill_exactly(pid, started)
    deadline = time.monotonic() + WAIT_S
    while any(is_running(pid, started) for pid, started in members.items()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return sorted(members)


def group_members(record: ProcessRecord, state: Path) -> dict[int, int]:
    """Return ids and start times of the processes in the leader's session.

    The kernel never reuses an id while a session has it. So if a younger process has the leader's id, the session has
    ended. If the leader has ended, a member must also have its working folder below `state`.
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
        if leader is not None or is_working_below(pid, state):
            members[pid] = started
    return members


def process_ids() -> list[int]:
    """Return the ids of all visible processes."""
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()] if PROC.is_dir() else []


def kill_exactly(pid: int, started: int) -> None:
    """Send SIGKILL through a process descriptor, so that no other process can get the id in between (pidfd_open(2))."""
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


def is_running(pid: int, started: int) -> bool:
    """Return whether a process still runs; a zombie doesn't."""
    fields = _stat(pid)
    return bool(fields) and int(fields[19]) == started and fields[0] != "Z"


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None if it doesn't exist."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def session_of(pid: int) -> int | None:
    """Return the session id of a process; None if the process doesn't exist."""
    fields = _stat(pid)
    return int(fields[3]) if fields else None


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on (proc_pid_stat(5)); the second may hold any text."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def is_working_below(pid: int, folder: Path) -> bool:
    """Return whether a process's working folder is `folder` or inside it."""
    try:
        return (PROC / str(pid) / "cwd").resolve().is_relative_to(folder.resolve())
    except OSError:
        return False


def boot_id() -> str:
    """Return the id of the machine's current boot; empty if the kernel gives none."""
    try:
        return (PROC / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
    except OSError:
        return ""
