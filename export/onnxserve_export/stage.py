"""Step stage: the archive's folder without its graph, and every row as tensors made by its own handler."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import onnxserve_handlers
from onnxserve.archive.offline import tensors
from onnxserve.archive.write import pretty
from onnxserve.spec import Definition

from .arrays import Arrays
from .batches import Batches
from .company import ALONE, MIXED, batches, random_batches
from .share import Share
from .step import Step
from .work import Groups, Work

BATCHES = (1, 2, 3, 5, 7)

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
    """Files of the handlers' package under its digest-derived name, that name, and `module:class` in it."""
    root = Path(onnxserve_handlers.__file__).parent
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.py")}
    module, _, cls = definition.handler.partition(":")
    if module.endswith(".py"):
        # A custom handler becomes a module of the package, so `from .inputs.text import …` works in it.
        files[f"custom_{module}"] = (definition.folder / module).read_bytes()
        module = f"custom_{module.removesuffix('.py')}"
        files |= {f"{short}.py": f"from .{name} import *\n".encode() for short, name in MODULES.items()}
    module = MODULES.get(module, module)
    state = hashlib.sha256()
    for name, content in sorted(files.items()):
        state.update(name.encode() + b"\0" + content + b"\0")
    package = f"handlers_{state.hexdigest()[:12]}"
    return {f"{package}/{name}": content for name, content in files.items()}, package, f"{module}:{cls}"


def signature(definition: Definition, handler: str, key_types: Mapping[str, str]) -> dict[str, Any]:
    """`signature.json` so far; the graph's inputs, outputs and variant follow when they are known."""
    spec = definition.input
    found: dict[str, Any] = {
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
    if definition.features:  # where its repository lies is another thing on another machine
        features = {k: v for k, v in msgspec.to_builtins(definition.features).items() if k != "repo"}
        found["features"] = features | {"key_types": key_types}
    return found


def write_stage(work: Work, folder: Path) -> None:
    """Handlers, service, assets and signature into `folder`."""
    definition = work.definition
    members, package, handler = handler_members(definition)
    module, _, cls = handler.partition(":")
    service = SERVICE.format(
        name=definition.name, version=definition.version, package=package, module=module, cls=cls, handler=handler
    )
    members |= work.assets | {"service.py": service.encode()}
    members["signature.json"] = pretty(signature(definition, handler, work.key_types))
    for name, content in members.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def shape_groups(values: Sequence[Any], largest: int) -> dict[str, list[Any]]:
    """Every batch size, once with the longest and once with the shortest rows, by readable names."""
    ordered = sorted(values, key=lambda value: len(str(value)))
    sizes = sorted({*BATCHES, largest})
    long = {f"batch {size}, long rows": ordered[-size:] for size in sizes}
    return long | {f"batch {size}, short rows": ordered[:size] for size in sizes}


class Layout:
    """Groups of instances in the order they are written, and which of them belong together."""

    def __init__(self) -> None:
        self._parts: list[Iterable[list[Any]]] = []
        self._sizes: list[int] = []

    def add(self, groups: Iterable[list[Any]], count: int) -> None:
        """`count` more groups."""
        self._parts.append(groups)
        self._sizes.append(count)

    def __iter__(self) -> Iterator[list[Any]]:
        return chain.from_iterable(self._parts)

    def cut(self, path: Path) -> list[Batches]:
        """What was added, part by part, as batches of the file."""
        stops = list(accumulate(self._sizes))
        return [Batches(path, stop - size, stop) for size, stop in zip(self._sizes, stops, strict=True)]


def values(share: Share) -> Iterator[Any]:
    """The rows' values, from disk."""
    return (row.value for row in share)


def call(work: Work) -> None:
    """Stage the folder, then let the staged handler turn all rows into tensors."""
    work.stage = work.scratch / "stage"
    write_stage(work, work.stage)
    size, split, layout = work.definition.serve.batch_size, work.split, Layout()
    head = list(islice(values(split.certify), max(MIXED, 2 * size)))
    company = random_batches(min(len(head), MIXED), size)
    shapes = shape_groups(head, size)
    for share in (split.calibrate, split.select, split.certify):
        layout.add(batches(values(share), size), math.ceil(len(share) / size))
    layout.add(batches(head[:ALONE], 1), min(ALONE, len(head)))
    layout.add([[head[index] for index in batch] for batch in company], len(company))
    layout.add([[row["input"] for row in work.golden]], 1)
    for group in shapes.values():
        layout.add([group], 1)
    path = work.scratch / "tensors.npz"
    work.axes = tensors(work.stage, layout, path)
    calibrate, select, certify, alone, mixed, golden, *rest = layout.cut(path)
    work.groups = Groups(
        calibrate,
        select,
        certify,
        alone,
        mixed,
        list(chain.from_iterable(company)),
        dict(zip(shapes, rest, strict=True)),
        golden,
    )


def alone(work: Work, name: str, instances: Iterable[Any], count: int) -> Batches:
    """`count` instances in batches of one, so unpadded; made once."""
    path = work.scratch / f"alone-{name}.npz"
    if not path.exists():
        tensors(work.stage, batches(instances, 1), path)
    return Batches(path, 0, count)


def served(work: Work, groups: int) -> list[Arrays]:
    """The first certify batches, each in the parts that the handler would run: rows of like length together."""
    path = work.scratch / "served.npz"
    size = work.definition.serve.batch_size
    tensors(work.stage, islice(batches(values(work.split.certify), size), groups), path, parts=True)
    with np.load(path) as arrays:
        count = len({key.partition("/")[0] for key in arrays.files if "/" in key})
    return list(Batches(path, 0, count))


def certify_alone(work: Work) -> Batches:
    """The certify rows, for variants that may serve only one row at a time."""
    return alone(work, "certify", values(work.split.certify), len(work.split.certify))


def select_alone(work: Work) -> Batches:
    """The select rows, for the same."""
    return alone(work, "select", values(work.split.select), len(work.split.select))


def golden_alone(work: Work) -> Batches:
    """The golden rows, for the same."""
    return alone(work, "golden", (row["input"] for row in work.golden), len(work.golden))


STEP = Step("stage", ("split", "golden", "assets"), ("stage", "groups", "axes"), call)
