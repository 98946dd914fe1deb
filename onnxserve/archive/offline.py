"""An unpacked archive's own handler, run in a subprocess and never imported here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from onnxserve.errors import ArchiveError
from onnxserve.processes import run_to_end
from onnxserve.scratch import Scratch

from .confined import python_command

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

DEFAULT_LIMIT = 128  # of a free axis whose largest size a handler of a user's own doesn't give


def package(folder: Path) -> str:
    """Return the name of the handlers' folder in an unpacked archive; ArchiveError unless there is exactly one."""
    packages = sorted(path.parent.name for path in folder.glob("handlers_*/offline.py"))
    if len(packages) != 1:
        raise ArchiveError(f"expected one folder handlers_*, found {packages}", where=str(folder))
    return packages[0]


def run_offline(folder: Path, command: str, source: Path, target: Path, provider: str = "") -> None:
    """Run one command of the archive's `offline` module; ArchiveError with the end of its log.

    `provider` takes the place of the variable ONNXSERVE_PROVIDER.
    """
    words = ("-m", f"{package(folder)}.offline", str(folder), command, str(source), str(target))
    _run_python(folder, command, *words, variables={"ONNXSERVE_PROVIDER": provider} if provider else {})


SCHEMAS = """
import sys, msgspec
from pathlib import Path
from {package}.offline import make_handler
Path(sys.argv[2]).write_bytes(msgspec.json.encode(make_handler(Path(sys.argv[1])).schemas()))
"""


def read_schemas(folder: Path) -> dict[str, Any]:
    """Return the JSON schemas of an unpacked archive's handler: `row`, `prediction` and maybe `parameters`."""
    with Scratch() as scratch:
        target, code = scratch / "schemas.json", SCHEMAS.format(package=package(folder))
        _run_python(folder, "schemas", "-c", code, str(folder.resolve()), str(target))
        return msgspec.json.decode(target.read_bytes(), type=dict[str, Any])


def _run_python(folder: Path, command: str, *words: str, variables: Mapping[str, str] = MappingProxyType({})) -> None:
    # Only the archive is on the path: everything else must come from site-packages.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= variables
    status, lines = run_to_end(python_command(*words), folder=folder, environment=environment, errors_only=True)
    if status != 0:
        raise ArchiveError(
            f"the handler failed on {command}: {lines[-1] if lines else f'exit {status}'}",
            where=str(folder),
            fix="\n         ".join(["the end of its log:", *lines[-12:]]),
        )


def tensors(
    folder: Path, groups: Iterable[list[Any]], target: Path, *, parts: bool = False
) -> dict[str, dict[int, str]]:
    """Write the graph's inputs for each group of instances to `target`, named `<part>/<input>`; return the free axes.

    A group is one part, unless neighbours in it may not run together. With `parts`, groups are split as the handler
    would split a batch. `part_counts` reads how many parts each group has.
    """
    with Scratch() as scratch:
        source = scratch / "groups.jsonl"
        write_groups(groups, source)
        run_offline(folder.resolve(), "parts" if parts else "tensors", source, target.resolve())
    with open_arrays(target) as arrays:
        return msgspec.json.decode(arrays["axes"].tobytes(), type=dict[str, dict[int, str]])


def open_arrays(path: Path) -> Any:
    """Open an .npz file, whose arrays are read one by one."""
    import numpy as np  # most commands that import this package need no arrays, and it takes longer than all of them

    return np.load(path)


def part_counts(path: Path) -> list[int]:
    """Return how many parts each group has in a file that `tensors` wrote."""
    with open_arrays(path) as arrays:
        return [int(count) for count in arrays["parts"]]


class RowFault(msgspec.Struct, frozen=True):
    """A reason why a handler refuses instances: of how many, the number of the first, and the place in it.

    `early` are the numbers of those among the first 256.
    """

    reason: str
    fix: str
    place: str
    first: int
    count: int
    early: list[int] = []


def faults_of(folder: Path, groups: Iterable[list[Any]]) -> list[RowFault]:
    """Return why the handler refuses instances, one record a reason; `place` is empty for the whole instance."""
    with Scratch() as scratch:
        source, target = scratch / "groups.jsonl", scratch / "faults.json"
        write_groups(groups, source)
        run_offline(folder.resolve(), "faults", source, target)
        faults = msgspec.json.decode(target.read_bytes(), type=list[RowFault])
    return [msgspec.structs.replace(fault, place=place_in_instance(fault.place)) for fault in faults]


def place_in_instance(where: str) -> str:
    """Return the part of a place that lies inside an instance, such as ` at .age` of `instances[3].age`."""
    _, bracket, rest = where.partition("]")
    return f" at {rest}" if bracket and rest else ""


def write_groups(groups: Iterable[list[Any]], path: Path) -> None:
    """Write groups of instances, one JSON line each."""
    with path.open("wb") as stream:
        stream.writelines(msgspec.json.encode(group) + b"\n" for group in groups)


def samples(folder: Path, count: int) -> list[Any]:
    """Return at most `count` random instances within the signature; none if the kind of input can't make any."""
    with Scratch() as scratch:
        source, target = scratch / "count.json", scratch / "samples.jsonl"
        source.write_bytes(msgspec.json.encode(count))
        run_offline(folder.resolve(), "samples", source, target)
        return [msgspec.json.decode(line) for line in target.read_bytes().splitlines()]


def axis_limits(path: Path, axes: Mapping[str, Mapping[int, str]]) -> dict[str, int]:
    """Return the largest size of each free axis by name, from a file that `tensors` wrote."""
    with open_arrays(path) as arrays:
        limits = msgspec.json.decode(arrays["limits"].tobytes(), type=dict[str, int])
    names = {name for free in axes.values() for name in free.values()}
    return {name: limits.get(name, DEFAULT_LIMIT) for name in names}


def least_sizes(path: Path) -> dict[str, int]:
    """Return the smallest size of each free axis that has one above 1, from the same file."""
    with open_arrays(path) as arrays:
        return msgspec.json.decode(arrays["least"].tobytes(), type=dict[str, int])


def outputs(folder: Path, groups: Iterable[list[Any]]) -> list[Array]:
    """Return the first output for each group of instances, shape (rows, ...), each group run as one batch."""
    with Scratch() as scratch:
        source, target = scratch / "groups.jsonl", scratch / "out.npz"
        write_groups(groups, source)
        run_offline(folder.resolve(), "outputs", source, target)
        with open_arrays(target) as arrays:
            return [arrays[str(index)] for index in range(len(arrays.files))]


class BatchOutputs(NamedTuple):
    """All outputs of one batch, each row's own size along free axes by the axis's name, and the rows' origins."""

    arrays: dict[str, Array]
    sizes: dict[str, Array]
    origins: list[Any] | None


def every_output(folder: Path, groups: Iterable[list[Any]]) -> list[BatchOutputs]:
    """Return all outputs for each group of instances, run as one batch; archives until 0.2 can't give them."""
    with Scratch() as scratch:
        source, target = scratch / "groups.jsonl", scratch / "out.npz"
        write_groups(groups, source)
        run_offline(folder.resolve(), "every_output", source, target)
        with open_arrays(target) as arrays:
            numbers = {int(key.partition("/")[0]) for key in arrays.files if key[0].isdigit()}
            return [_batch_outputs(arrays, number) for number in sorted(numbers)]


def _batch_outputs(arrays: Mapping[str, Array], number: int) -> BatchOutputs:
    def under(prefix: str) -> dict[str, Array]:
        return {key.removeprefix(prefix): arrays[key] for key in arrays if key.startswith(prefix)}

    origins = f"origins/{number}"
    return BatchOutputs(
        under(f"{number}/"),
        under(f"sizes/{number}/"),
        msgspec.json.decode(arrays[origins].tobytes()) if origins in arrays else None,
    )


def answers(folder: Path, bodies: list[bytes], provider: str = "") -> list[dict[str, Any]]:
    """Return the whole handler's `{"status", "body"}` for each JSON body, all in one batch."""
    with Scratch() as scratch:
        source, target = scratch / "bodies.jsonl", scratch / "answers.jsonl"
        source.write_bytes(b"\n".join(bodies) + b"\n")
        run_offline(folder.resolve(), "answers", source, target, provider)
        return [msgspec.json.decode(line) for line in target.read_bytes().splitlines()]
