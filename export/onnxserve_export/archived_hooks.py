"""The hooks of a user's own handler in an archive, called in a process that does nothing else.

Code of an archive may do anything, so it must not run where the archive is judged. What comes back are numbers and
texts, which are checked as those of any handler. The other end is `hook_process`.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from onnxserve.archive import package
from onnxserve.archive.confined import python_command
from onnxserve.archive.proof import ProofArray
from onnxserve.errors import ArchiveError
from onnxserve_handlers.outputs import FreeAxis, Outputs, with_sizes
from onnxserve_handlers.registry import TASKS, input_kind, task, task_alone
from onnxserve_handlers.signature import InputOptions, OutputOptions, Signature
from onnxserve_handlers.tasks import Flags, TaskHooks, first_output

from .arrays import Array

MODULE = "onnxserve_export.hook_process"
COMPOSITION = "composition.py"  # archives of 0.2 lack it
TIMEOUT_S = 1800
STOP_S = 5.0
LOG_LINES = 12


class PlainOutputs(msgspec.Struct, frozen=True):
    """All outputs of some rows, as msgpack can hold them."""

    arrays: dict[str, ProofArray]
    axes: list[tuple[str, int, str]]
    sizes: dict[str, list[int]]

    @classmethod
    def of(cls, outputs: Outputs) -> PlainOutputs:
        """Return outputs as a message."""
        sizes = {name: np.asarray(values).tolist() for name, values in outputs.sizes.items()}
        arrays = {name: ProofArray.of(array) for name, array in outputs.items()}
        return cls(arrays, [(axis.output, axis.axis, axis.name) for axis in outputs.axes], sizes)

    def outputs(self) -> Outputs:
        """Return the outputs of a message."""
        arrays = {name: array.array() for name, array in self.arrays.items()}
        return with_sizes(arrays, [FreeAxis(*axis) for axis in self.axes], self.sizes)


class HookCall(msgspec.Struct, frozen=True):
    """A hook by its name, and what it gets; `instance` is a row as clients send it."""

    hook: str
    outputs: list[PlainOutputs] = []
    labels: list[Any] = []
    origins: list[Any] | None = None
    groups: list[list[int]] = []
    instance: Any = None


class HookAnswer(msgspec.Struct, frozen=True):
    """What a hook gave: numbers, or a text; neither where the handler lacks the hook, or for a row without a text."""

    numbers: ProofArray | None = None
    text: str | None = None


class HookProcess:
    """A process that has opened the handler of an unpacked archive."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._log = folder, tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._connection, other_end = Pipe()
        command = python_command("-P", "-m", MODULE, str(folder), str(other_end.fileno()))
        with other_end:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._log,
                pass_fds=[other_end.fileno()],
            )

    def ask(self, call: HookCall) -> HookAnswer:
        """Call a hook; ArchiveError with the end of the process's log if it fails or gives anything else."""
        try:
            self._connection.send_bytes(msgspec.msgpack.encode(call))
            if not self._connection.poll(TIMEOUT_S):
                raise self._failure(call.hook, f"it runs for more than {TIMEOUT_S} s")
            return msgspec.msgpack.decode(self._connection.recv_bytes(), type=HookAnswer)
        except (EOFError, OSError) as error:
            raise self._failure(call.hook, "its process ended") from error
        except msgspec.DecodeError as error:
            raise self._failure(call.hook, f"its answer can't be read: {error}") from error

    def _failure(self, hook: str, what: str) -> ArchiveError:
        self._end()
        self._log.seek(0)
        lines = [line for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        fix = "\n         ".join(["the end of its log:", *lines[-LOG_LINES:]]) if lines else ""
        reason = lines[-1] if lines else what
        return ArchiveError(f"the handler failed on {hook}: {reason}", where=str(self._folder), fix=fix)

    def _end(self) -> None:
        self._connection.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the process."""
        self._end()
        self._log.close()


class ArchivedHooks(TaskHooks):
    """The hooks by which a proof is repeated, as the archive's own handler has them."""

    process: HookProcess

    def quality(self, outputs: Outputs, labels: Sequence[Any], origins: Sequence[Any] | None = None) -> Array:
        """Ask the handler for the quality."""
        own = None if origins is None else list(origins)
        return self._numbers(HookCall("quality", [PlainOutputs.of(outputs)], list(labels), own))

    def agreement(self, outputs: Outputs, reference: Outputs) -> Array:
        """Ask the handler for the agreement."""
        return self._numbers(_pair("agreement", outputs, reference))

    def score_agreement(self, outputs: Outputs, reference: Outputs) -> Array:
        """Ask the handler for the agreement of scores; its task knows it where the handler is too old."""
        given = self._optional(_pair("score_agreement", outputs, reference))
        return super().score_agreement(outputs, reference) if given is None else given

    def changes(self, outputs: Outputs, reference: Outputs) -> Flags:
        """Ask the handler which answers change; none do where it is too old to know the hook."""
        given = self._optional(_pair("changes", outputs, reference))
        return np.zeros(len(first_output(outputs)), bool) if given is None else given.astype(bool)

    def query_of(self, instance: Any) -> str | None:
        """Ask the handler for the query of a row."""
        return self.process.ask(HookCall("query_of", instance=instance)).text

    def ranking(self, outputs: Outputs, labels: Sequence[Any], groups: Sequence[npt.NDArray[np.intp]]) -> Array:
        """Ask the handler how well groups of rows are ordered."""
        places = [[int(index) for index in group] for group in groups]
        return self._numbers(HookCall("ranking", [PlainOutputs.of(outputs)], list(labels), groups=places))

    def vectors(self, outputs: Outputs) -> Array:
        """Ask the handler for the rows' vectors; the first output where it makes none."""
        given = self._optional(HookCall("vectors", [PlainOutputs.of(outputs)]))
        return first_output(outputs) if given is None else given

    def _numbers(self, call: HookCall) -> Array:
        given = self._optional(call)
        if given is None:
            raise ArchiveError(f"the archive's handler has no {call.hook}", where="handler", fix="export it again")
        return given

    def _optional(self, call: HookCall) -> Array | None:
        numbers = self.process.ask(call).numbers
        try:
            return None if numbers is None else numbers.array().astype(np.float64)
        except (ValueError, TypeError) as error:
            raise ArchiveError(f"{call.hook} gives no array of numbers: {error}", where="handler") from error


def _pair(hook: str, outputs: Outputs, reference: Outputs) -> HookCall:
    return HookCall(hook, [PlainOutputs.of(outputs), PlainOutputs.of(reference)])


@contextmanager
def archived_task(folder: Path, signature: Mapping[str, Any], measure: str = "") -> Iterator[TaskHooks]:
    """Yield the hooks of an unpacked archive's task, or of the user's own handler in it, for as long as it runs.

    `measure` names what that handler measures, as the evidence does.
    """
    document = signature["output"]
    name = document["task"] if document["task"] in TASKS else ""
    # A handler of a user's own may have labels without a task.
    alone = OutputOptions(labels=tuple(document.get("labels", ())))
    options: OutputOptions = msgspec.convert(document, task(name).output_options) if name else alone
    hooks = task_alone(name, Signature("", "", "", "", row_options(signature), options, (), (), 1))
    if not has_own_handler(folder, signature):
        yield hooks
        return
    names = {"quality_name": measure, "agreement_name": measure} if measure else {}
    own = type("Archived", (ArchivedHooks, task(name)), names)()
    own.signature, own.process = hooks.signature, HookProcess(folder)
    try:
        yield own
    finally:
        own.process.close()


def row_options(signature: Mapping[str, Any]) -> InputOptions:
    """Return an archive's options of rows; none for those of another version, whose hooks don't read them."""
    try:
        document = signature["input"]
        return msgspec.convert(document, input_kind(document["kind"]).input_options)
    except (KeyError, msgspec.ValidationError):
        return InputOptions()


def has_own_handler(folder: Path, signature: Mapping[str, Any]) -> bool:
    """Return whether an unpacked archive has a handler of the user's own whose hooks can be called."""
    is_own = str(signature.get("handler", "")).startswith("custom_")
    return is_own and (folder / package(folder) / COMPOSITION).is_file()
