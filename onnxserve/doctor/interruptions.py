"""The checks of what a killed server or a killed command left."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from onnxserve.archive.store import STAGED
from onnxserve.client import unix
from onnxserve.errors import ReleaseError
from onnxserve.gateway import RoleStore
from onnxserve.gateway.gateway import CONTROL
from onnxserve.gateway.role_store import RUNNING
from onnxserve.processes import end_stale_processes, run_folder_is_locked, stale_processes_of
from onnxserve.release.registration import clear_staged, writable_store
from onnxserve.release.store_lock import store_lock
from onnxserve.torchserve import Settings, stores_of

from .finding import Finding, Repair
from .stopped_server import no_server

RUN_FOLDER, REGISTRATION = "run folder", "registration"


def run_folder(settings: Settings) -> Finding:
    """Look for processes and records of a server that was killed."""
    run = settings.run
    if run_folder_is_locked(run):
        return Finding(RUN_FOLDER, f"a server runs with {settings.state}")
    if unix(run / CONTROL).listening():
        return Finding(RUN_FOLDER, f"a gateway runs alone with {settings.state}")
    processes = stale_processes_of(run) if run.is_dir() else []
    left = [f"processes {', '.join(map(str, processes))}"] if processes else []
    left += ["the record of a running gateway"] if (run / RUNNING).is_file() else []
    if not left:
        return Finding(RUN_FOLDER, f"no server runs with {settings.state}, and none was interrupted")
    what = " and ".join(left)
    clear = Repair(f"end and remove {what}", partial(clear_run_folder, settings))
    return Finding(RUN_FOLDER, f"a server that was killed left {what}", "the next `onnxserve serve` does it", clear)


def clear_run_folder(settings: Settings) -> None:
    """End the processes and remove the record; ServerError if a server or a gateway has started meanwhile."""
    with no_server(settings):
        end_stale_processes(settings.run)
        RoleStore(settings.state).record_stop()


def registration(settings: Settings) -> Finding:
    """Look for archives whose registration was interrupted."""
    stores = stores_of(settings)
    staged = [path for store in {stores.user, stores.server} for path in sorted(store.glob(f"*{STAGED}"))]
    if not staged:
        return Finding(REGISTRATION, "none was interrupted")
    names = ", ".join(map(str, staged))
    try:
        with store_lock(settings.state, 0):
            remove = Repair(f"remove {names}", partial(clear_registrations, settings))
            fix = "remove it, then register the archive again"
            return Finding(REGISTRATION, f"one was interrupted, which left {names}", fix, remove)
    except ReleaseError:
        return Finding(REGISTRATION, "an archive is being registered now")


def clear_registrations(settings: Settings) -> list[Path]:
    """Remove the archives from both stores; ReleaseError while a registration runs."""
    stores = stores_of(settings)
    removed: list[Path] = []
    with store_lock(settings.state, 0):
        for store in {stores.user, stores.server}:
            with writable_store(stores, store):
                removed += clear_staged(store)
    return removed
