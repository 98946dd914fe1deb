"""The class that serves an archive, imported from the copy of the handlers' package that lies in its folder.

A handler's own `quality`, `agreement`, `right` and `changes` decide in the proof as they do in a worker.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from onnxserve_handlers.tasks import TaskHooks


def served_class(folder: Path, name: str, signature: Any) -> type[Any]:
    """Return the class that serves by a signature, from the package `name` in `folder`.

    The task's own hooks stand behind it, where a handler of `Handler` alone has predictions of its own.
    """
    with importable(folder, name):
        service = import_module(f"{name}.composition").service_class(signature)
        return type("Served", (service, import_module(f"{name}.registry").task(signature["output"]["task"])), {})


@contextlib.contextmanager
def importable(folder: Path, name: str) -> Iterator[None]:
    """Let a package be imported from a folder, anew: an earlier folder of the same package may be gone."""
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def overrides(hooks: TaskHooks, hook: str) -> bool:
    """Return whether a hook is of a class of the user's own, or of its base; those of tasks lie in the package `tasks`.

    The class counts, not the function, which it may have borrowed from another task.
    """
    classes = type(hooks).__mro__
    tasks = next(base.__module__ for base in classes if base.__name__ == TaskHooks.__name__)
    module = next(base.__module__ for base in classes if hook in vars(base))
    return module != tasks and not module.startswith(f"{tasks}.")
