"""Step stage: the archive's folder without its graph, and every row as tensors made by its own handler."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onnxserve.archive.offline import Arrays, tensors
from onnxserve.archive.write import pretty
from onnxserve.places import resource
from onnxserve.spec import Definition

from .rows import Row
from .step import Step
from .work import Groups, Work

BATCHES = (1, 2, 3, 5, 7)
ALONE = 48  # rows also run one at a time, for batch invariance

SERVICE = '''"""Made by onnxserve. The one class that TorchServe's loader finds here serves {name} {version}."""

from {package} import {module} as _kind


class Service(_kind.{cls}):
    """{handler}, as packaged beside this file."""
'''


def handler_members(definition: Definition) -> tuple[dict[str, bytes], str, str]:
    """Files of the handlers' package under its digest-derived name, that name, and `module:class` in it."""
    files = {path.name: path.read_bytes() for path in sorted(resource("handlers").glob("*.py"))}
    module, _, cls = definition.handler.partition(":")
    if module.endswith(".py"):
        # A custom handler becomes a module of the package, so `from .text import …` works in it.
        files[f"custom_{module}"] = (definition.folder / module).read_bytes()
        module = f"custom_{module.removesuffix('.py')}"
    state = hashlib.sha256()
    for name, content in sorted(files.items()):
        state.update(name.encode() + b"\0" + content + b"\0")
    package = f"handlers_{state.hexdigest()[:12]}"
    return {f"{package}/{name}": content for name, content in files.items()}, package, f"{module}:{cls}"


def signature(definition: Definition, handler: str) -> dict[str, Any]:
    """`signature.json` so far; the graph's inputs, outputs and variant follow when they are known."""
    spec = definition.input
    return {
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


def write_stage(work: Work, folder: Path) -> None:
    """Handlers, service, assets and signature into `folder`."""
    definition = work.definition
    members, package, handler = handler_members(definition)
    module, _, cls = handler.partition(":")
    service = SERVICE.format(
        name=definition.name, version=definition.version, package=package, module=module, cls=cls, handler=handler
    )
    members |= work.assets | {"service.py": service.encode()}
    members["signature.json"] = pretty(signature(definition, handler))
    for name, content in members.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def batches(values: Sequence[Any], size: int) -> list[list[Any]]:
    """Consecutive groups of at most `size`."""
    return [list(values[start : start + size]) for start in range(0, len(values), size)]


def shape_groups(values: Sequence[Any], largest: int) -> dict[str, list[Any]]:
    """Every batch size, once with the longest and once with the shortest rows, by readable names."""
    ordered = sorted(values, key=lambda value: len(str(value)))
    sizes = sorted({*BATCHES, largest})
    long = {f"batch {size}, long rows": ordered[-size:] for size in sizes}
    return long | {f"batch {size}, short rows": ordered[:size] for size in sizes}


def call(work: Work) -> None:
    """Stage the folder, then let the staged handler turn all rows into tensors."""
    work.stage = work.scratch / "stage"
    write_stage(work, work.stage)
    size = work.definition.serve.batch_size
    certify = [row.value for row in work.split.certify]
    calibrate = _groups(work.split.calibrate, size)
    certified, alone = batches(certify, size), batches(certify[:ALONE], 1)
    shapes = shape_groups(certify, size)
    golden = [row["input"] for row in work.golden]
    parts = [*calibrate, *certified, *alone, *shapes.values(), golden]
    made, work.axes = tensors(work.stage, parts)
    rest = iter(made)
    work.groups = Groups(
        _take(rest, len(calibrate)),
        _take(rest, len(certified)),
        _take(rest, len(alone)),
        dict(zip(shapes, _take(rest, len(shapes)), strict=True)),
        next(rest),
    )


def _groups(rows: list[Row], size: int) -> list[list[Any]]:
    return batches([row.value for row in rows], size)


def _take(rest: Any, count: int) -> list[Arrays]:
    return [next(rest) for _ in range(count)]


STEP = Step("stage", ("split", "golden", "assets"), ("stage", "groups", "axes"), call)
