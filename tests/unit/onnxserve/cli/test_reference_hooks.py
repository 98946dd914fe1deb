"""The reference of handlers has every hook, tensor, axis and field of V2 that the code has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

import msgspec

from onnxserve.cli.reference.hooks import sections
from onnxserve.cli.reference.page import page
from onnxserve_handlers.handler import Handler
from onnxserve_handlers.inference import Inference
from onnxserve_handlers.inputs import InputHooks
from onnxserve_handlers.inputs.table import TableInput
from onnxserve_handlers.inputs.table_columns import Column, Dtype
from onnxserve_handlers.inputs.text_tokens import TENSORS
from onnxserve_handlers.registry import KINDS, TASKS, input_kind, task
from onnxserve_handlers.tasks import TaskHooks
from onnxserve_handlers.tasks.detection import DetectionOptions
from tests import ROOT
from tests.helpers.kinds import table_signature
from tests.helpers.task_models import MODELS

PAGE = ROOT / "docs" / "reference" / "handlers.md"
TEXT = PAGE.read_text(encoding="utf-8")
HOOKS = sections()
EVERY = [hook for hooks in HOOKS.values() for hook in hooks]


def cells(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, row by row."""
    section = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_committed_page_is_what_the_generator_makes():
    assert page(TEXT, PAGE.name) == TEXT, "run: make reference"


def test_every_public_name_of_every_kind_and_task_is_a_hook_of_the_page():
    named = {hook.name for hook in EVERY}
    classes: list[type] = [InputHooks, TaskHooks, Handler, Inference, *map(input_kind, KINDS), *map(task, TASKS)]
    public = {name for cls in classes for name in dir(cls) if not name.startswith("_")} - {"get_type_hints"}
    annotated = {name for cls in classes for base in cls.__mro__ for name in vars(base).get("__annotations__", {})}
    assert sorted((public | annotated) - named) == []
    assert len(named) > 60


def test_every_hook_says_what_it_is():
    assert [hook for hook in EVERY if not re.fullmatch(r"[A-Z`].*[.:]", hook.meaning)] == []


def test_no_section_has_a_hook_twice_and_the_words_are_those_of_the_class_itself():
    for heading, hooks in HOOKS.items():
        assert len({hook.name for hook in hooks}) == len(hooks), heading
    [share] = [hook for hook in HOOKS["More hooks of image"] if hook.name == "share"]
    assert "max_pixels" in share.meaning


def test_hooks_stand_where_they_belong():
    assert "to_size" in {hook.name for hook in HOOKS["More hooks of image"]}
    assert "vectors" in {hook.name for hook in HOOKS["More hooks of embedding"]}
    assert "tensors" in {hook.name for hook in HOOKS["Hooks of every input kind"]}


# Tensors: kind, name, type, axes of each input that handlers make.
Made = tuple[str, str, str, tuple[str, ...]]


def made_by(kind: str, handler: Any, rows: list[Any]) -> Iterator[Made]:
    for name, array in handler.tensors([handler.check(row, "row") for row in rows]).items():
        free = handler.dynamic_axes.get(name, {})
        dtype = "string" if array.dtype.kind == "O" else array.dtype.name
        yield (
            kind,
            name,
            dtype,
            ("batch", *(f"*{free[axis]}*" if axis in free else "" for axis in range(1, array.ndim))),
        )


def task_models(folder: Any, task_name: str, number: int, **changes: Any) -> Iterator[Made]:
    model = MODELS[task_name]
    yield from made_by(model.kind, model.handler(folder / f"{task_name}{number}", **changes), list(model.rows))


def every_tensor(folder: Any) -> Iterator[Made]:
    yield from task_models(folder, "embedding", 0, tensors=TENSORS)
    for number, layout in enumerate(("NCHW", "NHWC")):
        for dtype in ("float32", "uint8"):
            yield from task_models(folder / dtype, "detection", number, layout=layout, dtype=dtype)
    for number, changes in enumerate(({"mask": True, "window_seconds": 0.0}, {"window_seconds": 0.004})):
        yield from task_models(folder, "multilabel", number, **changes)
    for number, dtype in enumerate(("float32", "float64")):
        yield from task_models(folder, "regression", number, dtype=dtype)


def matches(row: list[str], tensor: Made) -> bool:
    kind, name, dtype, axes = tensor
    wanted = [axis.strip() for axis in row[3].split(",")]
    fits = len(wanted) == len(axes) and all(
        written == axis if axis.startswith("*") else not written.startswith("*")
        for written, axis in zip(wanted, axes, strict=True)
    )
    return row[0] == f"`{kind}`" and row[1] == f"`{name}`" and dtype in re.split(r", | or ", row[2]) and fits


def test_every_tensor_and_axis_that_a_kind_makes_is_in_the_table(tmp_path):
    (tmp_path / "float32").mkdir()
    (tmp_path / "uint8").mkdir()
    rows, tensors = cells("Tensors of each kind"), list(every_tensor(tmp_path))
    assert [tensor for tensor in tensors if not any(matches(row, tensor) for row in rows)] == []
    unused = [row for row in rows if "each" not in row[1] and not any(matches(row, tensor) for tensor in tensors)]
    assert unused == [], "the table has tensors that no kind makes"
    assert {row[0].strip("`") for row in rows} == {*KINDS}


def test_the_types_of_columns_of_their_own_are_in_the_table():
    [row] = [row for row in cells("Tensors of each kind") if row[1] == "each column's name"]
    assert {*re.split(r", | or ", row[2])} == {*get_args(Dtype)}
    handler = TableInput()
    options = msgspec.structs.replace(
        table_signature("a").input, columns=("a", Column("town", type="text")), tensors="columns"
    )
    handler.signature = table_signature("a", input=options)
    handler.prepare()
    assert [axes for _, _, _, axes in made_by("table", handler, [[1.5, "Bern"]])] == [("batch", "")] * 2
    assert row[3] == "batch, 1"


def test_an_axis_of_the_kind_tensors_is_free_under_the_name_that_its_definition_gives(tmp_path):
    [(_, name, dtype, axes)] = made_by("tensors", MODELS["raw"].handler(tmp_path / "raw"), [[1.5, 2]])
    assert (name, dtype, axes) == ("reading", "float32", ("batch", "*time*"))


def test_every_task_has_its_outputs_and_its_fields_of_v2():
    rows = cells("Outputs of each task")
    assert {row[0].partition(",")[0].strip("`") for row in rows} == {*TASKS}
    for row in rows:
        options = task(row[0].partition(",")[0].strip("`")).output_options
        assert tuple(re.findall(r"`(\w+)`", row[3])) == options.tensors, row
    layouts = {re.findall(r'"(\w+)"', row[0])[0] for row in rows if "layout" in row[0]}
    [kinds] = [field.type for field in msgspec.structs.fields(DetectionOptions) if field.name == "layout"]
    assert layouts == {*get_args(kinds)}
