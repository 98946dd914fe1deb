"""The hooks of a task as the class has them that will serve: the task's own, or those of a user's own handler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnxserve.definition import Definition
from onnxserve_handlers.registry import read_signature, task_alone, task_for
from onnxserve_handlers.tasks import TaskHooks

from .archive_folder import handler_members
from .archive_folder import signature as first_signature
from .export_state import ExportState
from .served_class import served_class


def served_task(definition: Definition, folder: Path) -> TaskHooks:
    """Return the hooks of the class that will serve a definition, without rows and without a graph.

    `folder` gets the package of a handler of the user's own. A handler that can't be imported has the task's hooks: the
    step `check` runs it, and says why it fails.
    """
    task = task_for(definition.output, definition.input)
    if not definition.handler:
        return task
    members, name, own = handler_members(definition)
    for member, content in members.items():
        path = folder / member
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    try:
        hooks: TaskHooks = served_class(folder, name, first_signature(definition, own, {}))()
    except Exception:  # noqa: BLE001 - whatever a user's module raises
        return task
    hooks.signature = task.signature
    return hooks


def opened_task(state: ExportState) -> TaskHooks:
    """Return the hooks by the signature in the archive's folder, where the outputs have decided what was left open.

    A handler of the user's own has read its files, as before its first row.
    """
    hooks: Any = type(state.task)()
    if not state.definition.handler or not hasattr(hooks, "open"):
        signature = read_signature(state.archive_folder)
        return task_alone(signature.output.task, signature)
    hooks.open(state.archive_folder)
    return hooks  # type: ignore[no-any-return]  # a class of the archive's package
