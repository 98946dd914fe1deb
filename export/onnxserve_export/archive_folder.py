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
from onnxserve_handlers.registry import input_kind
from onnxserve_handlers.registry import task as task_class

from .export_state import ExportState
from .handler_files import handler_files

SERVICE = '''"""Made by onnxserve. The one class that TorchServe's loader finds here serves {name} {version}."""

{imports}


class Service({bases}):
    """{meaning}, as packaged beside this file."""
'''
# Names of the package's modules in earlier versions, which a handler of a user's own may import.
FORMER_MODULES = {
    "base": "from .handler import *\nfrom .handler import Handler\n",
    "image": "from .inputs.image import *\nfrom .composition import ImageClassifier\n",
    "joined": "from .features.handler import *\nfrom .composition import JoinedClassifier\n",
    "tabular": "from .inputs.table import *\nfrom .composition import TabularClassifier\n",
    "text": "from .inputs.text import *\nfrom .composition import TextClassifier\n",
}
# The modules where a user's own handler finds the classes of earlier versions, and what makes them be found there.
HOMES = ("inputs/image.py", "inputs/table.py", "inputs/text.py", "features/handler.py")
FORMER_CLASSES = b"""

def __getattr__(name):
    from ..composition import former_class

    return former_class(name)
"""


def handler_members(definition: Definition) -> tuple[dict[str, bytes], str, str]:
    """Return the files of the handlers' package under its digest-derived name, that name, and a user's `module:class`.

    The last is empty without a handler of a user's own.
    """
    root = Path(onnxserve_handlers.__file__).parent
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.py")}
    own = ""
    if definition.handler:
        module, _, cls = definition.handler.partition(":")
        own = f"custom_{module.removesuffix('.py')}:{cls}"
        files |= {f"{former}.py": content.encode() for former, content in FORMER_MODULES.items()}
        # A custom handler becomes a module of the package, so `from .inputs.text import …` works in it.
        files |= handler_files(definition.folder, module, files)
        files |= {name: files[name] + FORMER_CLASSES for name in HOMES}
    hasher = hashlib.sha256()
    for name, content in sorted(files.items()):
        hasher.update(name.encode() + b"\0" + content + b"\0")
    package = f"handlers_{hasher.hexdigest()[:12]}"
    return {f"{package}/{name}": content for name, content in files.items()}, package, own


def service(definition: Definition, package: str, own: str) -> str:
    """Return `service.py`: a class of the input kind, the task and the batch loop, or of a user's own handler."""
    kind, task = definition.input.kind, definition.output.task
    if own:
        module, _, cls = own.partition(":")
        arguments = f"{kind!r}, {task!r}, _own.{cls}, features={definition.features is not None}"
        imports = {"_own": module, "_composition": "composition"}
        bases, meaning = f"*_composition.bases({arguments})", own
    else:
        rows = input_kind(kind, features=definition.features is not None)
        predictions = task_class(task)
        imports = {"_input": _module(rows), "_task": _module(predictions), "_handler": "handler"}
        bases = f"_input.{rows.__name__}, _task.{predictions.__name__}, _handler.Handler"
        meaning = f"{kind} to {task}"
    lines = [f"import {package}.{module} as {name}" for name, module in imports.items()]
    names = {"name": definition.name, "version": definition.version}
    return SERVICE.format(imports="\n".join(lines), bases=bases, meaning=meaning, **names)


def _module(kind: type) -> str:
    return kind.__module__.partition(".")[2]


def signature(definition: Definition, handler: str, key_types: Mapping[str, str]) -> dict[str, Any]:
    """Return `signature.json` so far; the graph's inputs, outputs and variant follow when they are known."""
    document: dict[str, Any] = {
        "model": definition.name,
        "version": definition.version,
        "handler": handler,
        "variant": "",
        "input": msgspec.to_builtins(definition.input),
        "output": msgspec.to_builtins(definition.output),
        "inputs": [],
        "outputs": [],
        "max_batch": definition.serve.batch_size,
    }
    if definition.features:  # the repository's path means nothing on another machine
        features = {k: v for k, v in msgspec.to_builtins(definition.features).items() if k != "repo"}
        document["features"] = features | {"key_types": key_types}
    return document


def complete_input(state: ExportState) -> Definition:
    """Return the definition with what the source's inputs decide about rows, if the source could be opened."""
    inputs = state.model.inputs if hasattr(state, "model") else ()
    if not inputs:
        return state.definition
    names = [[spec.name for spec in inputs if spec.required is required] for required in (True, False)]
    return msgspec.structs.replace(state.definition, input=state.definition.input.complete(*names))


def write_archive_folder(state: ExportState, folder: Path) -> None:
    """Write handlers, service, assets and signature into `folder`."""
    definition = complete_input(state)
    members, package, own = handler_members(definition)
    members |= state.assets | {"service.py": service(definition, package, own).encode()}
    members["signature.json"] = pretty(signature(definition, own, state.key_types))
    for name, content in members.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
