"""A new model folder, copied from a template."""

from __future__ import annotations

import re
from pathlib import Path
from shlex import quote

import msgspec

from onnxserve.errors import DefinitionError

TEMPLATES = Path(__file__).with_name("templates")
FORMER = {"tabular": "table"}  # until 0.2
KINDS = ("text", "image", "audio", "table", "tensors")
# Templates of their own, by input kind and task; the first of a kind is made where no task is named.
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
# Tasks of any kind, made of a template of the kind and one of the task; labels are those of the latter.
TASKS = {
    "classification": ("low", "high"),
    "multilabel": ("some", "more", "most"),
    "regression": (),
    "embedding": (),
    "raw": (),
}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
OUTPUT = re.compile(r"(?<=^\[output\]\n).*?(?=^\[quantise\])", re.DOTALL | re.MULTILINE)
MARK, TASK_MARK = "__name__", "__task__"
SUFFIX = ".tmpl"


def template_files(kind: str, task: str) -> dict[str, str]:
    """Return the texts of a new folder's files by name; DefinitionError with what there is."""
    kind = FORMER.get(kind, kind)
    if kind not in KINDS:
        raise DefinitionError(f"no kind {kind!r}", fix="choose " + ", ".join(KINDS))
    first, *others = [own_task for own_kind, own_task in PAIRS if own_kind == kind]
    if folder := PAIRS.get((kind, task or first)):
        return read_texts(TEMPLATES / folder)
    if task not in TASKS:
        tasks = dict.fromkeys([first, *others, *TASKS])
        raise DefinitionError(
            f"no template for {kind} to {task!r}",
            fix=f"choose {', '.join(tasks)}, and change [output] in model.toml: any kind and task work together",
        )
    return composed_files(kind, task)


def composed_files(kind: str, task: str) -> dict[str, str]:
    """Return the files of a kind with another task than those of its own templates."""
    module, own = (
        (TEMPLATES / folder / f"{name}.py{SUFFIX}").read_text(encoding="utf-8")
        for folder, name in (("kinds", kind), ("tasks", task))
    )
    like = next(folder for (own_kind, _), folder in PAIRS.items() if own_kind == kind)
    labels = f"labels = {msgspec.json.encode(TASKS[task]).decode()}\n".replace(",", ", ") if TASKS[task] else ""
    definition = OUTPUT.sub(f'task = "{task}"\n{labels}\n', read_texts(TEMPLATES / like)["model.toml"])
    return {"model.py": module.replace(TASK_MARK, own.strip()), "model.toml": definition}


def read_texts(folder: Path) -> dict[str, str]:
    """Return the texts of a template's files by their names in a new folder."""
    files = sorted(file for file in folder.iterdir() if file.is_file())
    return {file.name.removesuffix(SUFFIX): file.read_text(encoding="utf-8") for file in files}


def check_name(name: str) -> None:
    """Raise DefinitionError for a bad name of a model."""
    if not NAME.fullmatch(name):
        raise DefinitionError(
            f"{name!r} isn't a valid model name", fix="letters, digits, '_', '-' and '.', as in a URL"
        )


def new_folder(models: Path, name: str) -> Path:
    """Return the path of a new model's folder; DefinitionError for a bad name, or if the model exists."""
    check_name(name)
    folder = models / name
    if folder.exists():
        fix = f"choose another name; change {folder / 'model.toml'}, and run onnxserve export {quote(str(folder))}; or "
        fix += "remove the folder, if nothing in it is to stay"
        raise DefinitionError("a model with this name exists", where=str(folder), fix=fix)
    return folder


def new_model(kind: str, name: str, models: Path, task: str = "") -> Path:
    """Make `models/<name>` from the template of a kind and a task; DefinitionError for a bad one or if it exists."""
    files = template_files(kind, task)
    folder = new_folder(models, name)
    folder.mkdir(parents=True)
    for file, text in files.items():
        (folder / file).write_text(text.replace(MARK, name), encoding="utf-8")
    return folder
