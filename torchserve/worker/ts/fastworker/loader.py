"""Finds and starts a handler by the rules of TorchServe's `ts/model_loader.py`."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from .context import Context, Entry
from .lines import lines
from .messages import Load
from .metrics import Metrics
from .migrated import MigratedEntry, is_migrated
from .verification import open_folder, verify_folder

VERSION = Path(__file__).parents[1] / "version.txt"


def load_handler(load: Load, metrics: Metrics) -> tuple[Entry, Context]:
    """Return the initialised handler's entry point and its context; raises whatever the handler raises."""
    folder = Path(load.path)
    lines.model_fields = {"model": load.name, "version": manifest_version(folder)}
    verified = verify_folder(folder, load.handler)
    open_folder(folder, verified=verified)
    manifest = read_manifest(folder)
    context = Context(
        load.name,
        load.path,
        manifest,
        load.batch_size,
        load.gpu,
        VERSION.read_text(encoding="utf-8").strip(),
        load.limit_max_image_pixels,
        metrics,
        read_config(folder, manifest),
    )
    context.verified = verified
    entry, initialize = entry_point(load.handler)
    if load.envelope:
        envelope = only_class(importlib.import_module(f"ts.torch_handler.request_envelope.{load.envelope}"))
        entry = envelope(entry).handle
    if is_migrated(folder):
        context.decodes, entry = True, MigratedEntry(entry, folder)
    initialize(context)
    return entry, context


def manifest_version(folder: Path) -> str:
    """Return the version in a manifest, empty if it can't be read; log lines about a refused archive have it too."""
    try:
        return str(read_manifest(folder)["model"]["modelVersion"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def read_manifest(folder: Path) -> Any:
    """Parse `MAR-INF/MANIFEST.json`; None without one."""
    path = folder / "MAR-INF" / "MANIFEST.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def read_config(folder: Path, manifest: Any) -> dict[str, Any]:
    """Parse the YAML file that the manifest names; empty without one."""
    name = ((manifest or {}).get("model") or {}).get("configFile")
    if not name:
        return {}
    import yaml

    return yaml.safe_load((folder / name).read_text(encoding="utf-8")) or {}


def entry_point(handler: str) -> tuple[Entry, Callable[[Context], Any]]:
    """Return the callables for a batch and for initialisation: of `module:function`, or of a module's only class."""
    name, _, function = handler.partition(":")
    module = find_module(name)
    entry = getattr(module, function or "handle", None)
    if entry is not None:
        return entry, lambda context: entry(None, context)
    service = only_class(module)()
    if not hasattr(service, "handle"):
        raise ValueError(f"{type(service).__name__} in handler {handler!r} has no method 'handle'")
    return service.handle, service.initialize


def find_module(name: str) -> ModuleType:
    """Import the archive's module, else TorchServe's own handler of that name."""
    module = name.removesuffix(".py").rsplit("/", 1)[-1]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # If the handler's own imports fail, the user must see that error.
        if error.name != module:
            raise
    return importlib.import_module(f"ts.torch_handler.{name}")


def only_class(module: ModuleType) -> Any:
    """Return the only class that a handler's module defines; raises ValueError for another number of classes."""
    classes = [cls for _, cls in inspect.getmembers(module, inspect.isclass) if cls.__module__ == module.__name__]
    if len(classes) != 1:
        raise ValueError(f"expected one class or a function in handler {module.__name__!r}, found {classes}")
    return classes[0]
