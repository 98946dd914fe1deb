"""The archive (`.mar`): writing it reproducibly, reading it safely, checking it whole."""

from .check import Checked, check_archive
from .configure import golden_bodies, max_batch, read_config, reconfigure
from .file import enter_store, file_digest
from .manifest import manifest
from .read import Summary, open_archive, summarise, unpack
from .write import write_archive

__all__ = [
    "Checked",
    "Summary",
    "check_archive",
    "enter_store",
    "file_digest",
    "golden_bodies",
    "manifest",
    "max_batch",
    "open_archive",
    "read_config",
    "reconfigure",
    "summarise",
    "unpack",
    "write_archive",
]
