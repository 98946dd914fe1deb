"""A model folder for `onnxserve export`, made of a TorchServe archive whose handler is one of TorchServe's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxserve.definition.toml_literal import literal
from onnxserve.errors import ArchiveError

from .eager import OLD, loader, model_class
from .handlers import Kind, image_kind, tensor_kind
from .stock import StockArchive
from .weights import Weights, weights_kind

MODEL = "model"  # the file of the new folder that has the weights, before its suffix
SUFFIXES = {Weights.torchscript: ".pt", Weights.onnx: ".onnx"}
# Why the other handlers' archives can't be converted; what a handler does is code, and not in the graph.
OBSTACLES = {
    "object_detector": "object_detector: an archive of ours needs its boxes as tensors of one size for each image",
    "image_segmenter": "image_segmenter: its module gives a dictionary, and the handler a class for each pixel",
    "text_classifier": "text_classifier: its module takes the words of a text in one tensor beside offsets, not rows",
}
GUIDE = "docs/guides/migrate.md says how to write the rest by hand"


@dataclass(frozen=True)
class Converted:
    """A written model folder, and the version that an export of it will have."""

    folder: Path
    version: str


def convert(stock: StockArchive, models: Path, row: Path | None = None) -> Converted:
    """Write `models/NAME`; ArchiveError lists by name what can't be converted, or if the folder exists.

    `row` is an example of what clients send; its answer by the source becomes the golden row.
    """
    kind, obstacles = kind_of(stock, row)
    obstacles += source_obstacles(stock)
    if obstacles or kind is None:
        raise ArchiveError("it can't be converted: " + "; ".join(obstacles), where=str(stock.path), fix=GUIDE)
    folder = models / stock.name
    if folder.exists():
        raise ArchiveError("a model with this name exists", where=str(folder), fix="name another folder with --convert")
    version = next_version(stock.version)
    files = model_files(stock) | {"model.toml": definition(stock, kind, version).encode(), "golden.jsonl": kind.golden}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return Converted(folder, version)


def kind_of(stock: StockArchive, row: Path | None) -> tuple[Kind | None, list[str]]:
    """Return the sections of the definition for the archive's handler, or why there are none."""
    name = stock.model.handler
    if stock.handler_file:
        return None, [f"{name}: what it does before and after the model is code of its own; write it as hooks"]
    try:
        if name == "image_classifier":
            return image_kind(stock, row), []
        if name == "base_handler":
            return tensor_kind(stock, row), []
    except ArchiveError as error:
        return None, [error.what]
    return None, [OBSTACLES.get(name, f"{name}: it is unknown what it does")]


def source_obstacles(stock: StockArchive) -> list[str]:
    """Return why the weights can't be a source."""
    name, obstacles = stock.model.serialized_file or "", list[str]()
    if not stock.version.replace(".", "").isdigit():
        obstacles.append(f"version {stock.version}: it must be numbers with dots between them")
    if stock.model.model_file:
        try:
            model_class(stock)
        except ArchiveError as error:
            obstacles.append(error.what)
    elif name not in stock.members or weights_kind(name, stock.members[name]) not in SUFFIXES:
        obstacles.append(f"{name or 'the model'}: neither TorchScript nor ONNX, and no model file beside it")
    return obstacles


def model_files(stock: StockArchive) -> dict[str, bytes]:
    """Return the files that the definition's source names."""
    name = stock.model.serialized_file or ""
    if not stock.model.model_file:
        return {source_name(stock): stock.members[name]}
    kept = {f"{OLD}/{file}": content for file, content in stock.members.items() if file.endswith(".py") or file == name}
    return {"model.py": loader(stock).encode(), **kept}


def source_name(stock: StockArchive) -> str:
    """Return `source` of the definition."""
    if stock.model.model_file:
        return "model.py:load"
    name = stock.model.serialized_file or ""
    return MODEL + SUFFIXES[weights_kind(name, stock.members[name])]


def definition(stock: StockArchive, kind: Kind, version: str) -> str:
    """Return `model.toml`."""
    archive = " ".join(stock.path.name.split())
    lines = [
        f"# Made of {archive} by `onnxserve migrate`; docs/reference/configuration.md has every field.",
        "# Without rows an export is unproven. With `rows` and labels it is proven, and int8 may compete for speed.",
        f"name = {literal(stock.name)}",
        f"version = {literal(version)}",
        f"source = {literal(source_name(stock))}",
        "",
        "[input]",
        *_lines(kind.input),
        "",
        "[output]",
        *_lines(kind.output),
        "",
        "[quantise]",
        'variants = ["fp32"]',
    ]
    return "\n".join(lines) + "\n"


def _lines(fields: Mapping[str, Any]) -> list[str]:
    """Return the lines of a section's fields."""
    return [f"{name} = {literal(value)}" for name, value in fields.items()]


def next_version(version: str) -> str:
    """Return the version after, so that the converted model can stand beside the migrated one: 1.0 becomes 1.1."""
    parts = version.split(".")
    return ".".join([*parts[:-1], str(int(parts[-1]) + 1)]) if parts[-1].isdigit() else version
