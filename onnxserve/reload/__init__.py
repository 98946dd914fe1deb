"""Development: edited model folders are exported again, as drafts, and take the place of what a server serves."""

from .draft_exporter import DraftExporter
from .draft_store import development_store
from .folders import model_folders, outdated_folders
from .reloader import Reloader
from .watcher import FolderWatcher

__all__ = [
    "DraftExporter",
    "FolderWatcher",
    "Reloader",
    "development_store",
    "model_folders",
    "outdated_folders",
]
