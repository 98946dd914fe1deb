"""Child processes: starting them, finding those of a crashed run, and ending them."""

from .listener import INHERITED, Listener
from .log_lines import lines_since, log_size
from .process_group import end_all, end_group, listening, reap_orphans
from .run_folder import check_socket_path, lock_run_folder, make_run_folder, run_folder_is_locked
from .run_to_end import Ended, run_to_end
from .spawn import Child, bound, spawn
from .stale_processes import end_stale_processes, stale_processes_of

__all__ = [
    "INHERITED",
    "Child",
    "Ended",
    "Listener",
    "bound",
    "check_socket_path",
    "end_all",
    "end_group",
    "end_stale_processes",
    "lines_since",
    "listening",
    "lock_run_folder",
    "log_size",
    "make_run_folder",
    "reap_orphans",
    "run_folder_is_locked",
    "run_to_end",
    "spawn",
    "stale_processes_of",
]
