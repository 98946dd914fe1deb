"""Finding and starting a handler, by the rules of `ts/model_loader.py`."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from .context import Context
from .lines import lines
from .messages import Load
from .metrics import Metrics
from .verification import open_folder, verify_folder

Entry = Callable[[list[dict[str, Any]], Context], Any]
VERSION = Path(__file__).parents[1] / "version.txt"


def load_handler(load: Load, metrics: Metrics) -> tuple[Entry, Context]:
    """The initialised handler's entry point and its context; raises whatever the handler raises."""
    folder = Path(load.path)
    lines.about = {"model": load.name, "version": named_version(folder)}
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
    initialize(context)
    return entry, context


def named_version(folder: Path) -> str:
    """The version that a manifest names, for lines about an archive that may be refused; empty if it can't be read."""
    try:
        return str(read_manifest(folder)["model"]["modelVersion"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def read_manifest(folder: Path) -> Any:
    """`MAR-INF/MANIFEST.json`, None without one."""
    path = folder / "MAR-INF" / "MANIFEST.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def read_config(folder: Path, manifest: Any) -> dict[str, Any]:
    """The YAML file that the manifest names."""
    name = ((manifest or {}).get("model") or {}).get("configFile")
    if not name:
        return {}
    import yaml

    return yaml.safe_load((folder / name).read_text(encoding="utf-8")) or {}


def entry_point(handler: str) -> tuple[Entry, Callable[[Context], Any]]:
    """What to call for a batch and for initialisation: a function `module:function`, or a module's only class."""
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
    """The archive's module, else TorchServe's own of that name."""
    own = name.removesuffix(".py").rsplit("/", 1)[-1]
    try:
        return importlib.import_module(own)
    except ModuleNotFoundError as error:
        # Only when the module itself is missing: what a handler fails to import is the user's to see.
        if error.name != own:
            raise
    return importlib.import_module(f"ts.torch_handler.{name}")


def only_class(module: ModuleType) -> Any:
    """The one class that a handler's module defines."""
    found = [one for _, one in inspect.getmembers(module, inspect.isclass) if one.__module__ == module.__name__]
    if len(found) != 1:
        raise ValueError(f"expected one class or a function in handler {module.__name__!r}, found {found}")
    return found[0]
