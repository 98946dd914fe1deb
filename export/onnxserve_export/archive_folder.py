"""The archive's folder without its graph: the handlers' package, the service class, assets and the signature."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

import onnxserve_handlers
from onnxserve.archive.write import pretty
from onnxserve.definition import Definition

from .export_state import ExportState

SERVICE = '''"""Made by onnxserve. The one class that TorchServe's loader finds here serves {name} {version}."""

import {package}.{module} as _kind


class Service(_kind.{cls}):
    """{handler}, as packaged beside this file."""
'''


# Modules of handlers by the short names that a model.toml has; a handler of a user's own may import them so too.
MODULES = {
    "base": "handler",
    "image": "inputs.image",
    "joined": "features.handler",
    "tabular": "inputs.table",
    "text": "inputs.text",
}


def handler_members(definition: Definition) -> tuple[dict[str, bytes], str, str]:
    """Return the files of the handlers' package under its digest-derived name, that name, and `module:class` in it."""
    root = Path(onnxserve_handlers.__file__).parent
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.py")}
    module, _, cls = definition.handler.partition(":")
    if module.endswith(".py"):
        # A custom handler becomes a module of the package, so `from .inputs.text import …` works in it.
        files[f"custom_{module}"] = (definition.folder / module).read_bytes()
        module = f"custom_{module.removesuffix('.py')}"
        files |= {f"{short}.py": f"from .{name} import *\n".encode() for short, name in MODULES.items()}
    module = MODULES.get(module, module)
    hasher = hashlib.sha256()
    for name, content in sorted(files.items()):
        hasher.update(name.encode() + b"\0" + content + b"\0")
    package = f"handlers_{hasher.hexdigest()[:12]}"
    return {f"{package}/{name}": content for name, content in files.items()}, package, f"{module}:{cls}"


def signature(definition: Definition, handler: str, key_types: Mapping[str, str]) -> dict[str, Any]:
    """Return `signature.json` so far; the graph's inputs, outputs and variant follow when they are known."""
    spec = definition.input
    document: dict[str, Any] = {
        "model": definition.name,
        "version": definition.version,
        "handler": handler,
        "variant": "",
        "labels": definition.labels,
        "input": {name: getattr(spec, name) for name in spec.__struct_fields__},
        "inputs": [],
        "outputs": [],
        "max_batch": definition.serve.batch_size,
    }
    if definition.features:  # the repository's path means nothing on another machine
        features = {k: v for k, v in msgspec.to_builtins(definition.features).items() if k != "repo"}
        document["features"] = features | {"key_types": key_types}
    return document


def write_archive_folder(state: ExportState, folder: Path) -> None:
    """Write handlers, service, assets and signature into `folder`."""
    definition = state.definition
    members, package, handler = handler_members(definition)
    module, _, cls = handler.partition(":")
    service = SERVICE.format(
        name=definition.name, version=definition.version, package=package, module=module, cls=cls, handler=handler
    )
    members |= state.assets | {"service.py": service.encode()}
    members["signature.json"] = pretty(signature(definition, handler, state.key_types))
    for name, content in members.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
