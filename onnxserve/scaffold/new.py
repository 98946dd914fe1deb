"""A new model folder, copied from a template."""

from __future__ import annotations

import re
from pathlib import Path
from shlex import quote

from onnxserve.errors import DefinitionError

TEMPLATES = Path(__file__).with_name("templates")
FORMER = {"tabular": "table"}  # until 0.2
# The templates by input kind and task; the first of a kind is made where no task is named.
PAIRS = {
    ("text", "classification"): "text",
    ("text", "embedding"): "text-embedding",
    ("text", "tokens"): "text-tokens",
    ("text", "rerank"): "text-rerank",
    ("image", "classification"): "image",
    ("image", "detection"): "image-detection",
    ("image", "segmentation"): "image-segmentation",
    ("audio", "classification"): "audio",
    ("table", "classification"): "table",
    ("table", "regression"): "table-regression",
    ("tensors", "raw"): "tensors-raw",
}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
MARK = "__name__"


def template(kind: str, task: str) -> Path:
    """Return the folder of a template; DefinitionError with what there is."""
    kind = FORMER.get(kind, kind)
    tasks = [known for known_kind, known in PAIRS if known_kind == kind]
    if not tasks:
        raise DefinitionError(
            f"no kind {kind!r}", fix="choose " + ", ".join(dict.fromkeys(known for known, _ in PAIRS))
        )
    if task and task not in tasks:
        raise DefinitionError(
            f"no template for {kind} to {task!r}",
            fix=f"choose {', '.join(tasks)}, and change [output] in model.toml: any kind and task work together",
        )
    return TEMPLATES / PAIRS[kind, task or tasks[0]]


def new_folder(models: Path, name: str) -> Path:
    """Return the path of a new model's folder; DefinitionError for a bad name, or if the model exists."""
    if not NAME.fullmatch(name):
        raise DefinitionError(
            f"{name!r} isn't a valid model name", fix="letters, digits, '_', '-' and '.', as in a URL"
        )
    folder = models / name
    if folder.exists():
        fix = f"choose another name; change {folder / 'model.toml'}, and run onnxserve export {quote(str(folder))}; or "
        fix += "remove the folder, if nothing in it is to stay"
        raise DefinitionError("a model with this name exists", where=str(folder), fix=fix)
    return folder


def new_model(kind: str, name: str, models: Path, task: str = "") -> Path:
    """Make `models/<name>` from the template of a kind and a task; DefinitionError for a bad one or if it exists."""
    files = template(kind, task)
    folder = new_folder(models, name)
    folder.mkdir(parents=True)
    for source in sorted(files.iterdir()):
        if source.is_file():
            text = source.read_text(encoding="utf-8").replace(MARK, name)
            (folder / source.name.removesuffix(".tmpl")).write_text(text, encoding="utf-8")
    return folder
