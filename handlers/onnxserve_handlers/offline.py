"""Run an unpacked archive's handler without a server, so that the same bytes serve online and offline.

`python -m <package>.offline FOLDER COMMAND SOURCE TARGET` knows these commands:

- `tensors GROUPS.jsonl OUT.npz` writes the graph's inputs for each line, a JSON list of instances, in its order;
- `parts GROUPS.jsonl OUT.npz` does the same for the parts of each line that the handler runs together;
- `outputs GROUPS.jsonl OUT.npz` writes the first output for each line;
- `every_output GROUPS.jsonl OUT.npz` writes all outputs for each line, with the rows' own sizes and origins;
- `measures GROUPS.jsonl OUT.npz` writes the numbers that drift compares, over all lines;
- `faults GROUPS.jsonl OUT.json` writes why the handler refuses instances, one record a reason;
- `samples COUNT.json OUT.jsonl` writes at most so many random instances within the signature;
- `answers BODIES.jsonl OUT.jsonl` gives each line, one JSON body, to `handle` and writes statuses and responses;
- `times PLAN.json OUT.json` times batches of golden rows.

`onnxserve`, `onnxserve_export` and converted archives call this module by its name, so its commands, `make_handler`,
`loaded` and `OfflineContext` are part of the archive's format.
"""

from __future__ import annotations

import contextlib
import os
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from .composition import service_class
from .errors import InternalError, RequestError
from .handler import Handler
from .telemetry.drift_window import MOST_ALIKE, row_key
from .timing import measure
from .trust.model import read_golden

GPU, PROVIDER = "ONNXSERVE_GPU", "ONNXSERVE_PROVIDER"
SEED = 20240229  # of random instances
EARLY = 256  # first instances; each refused one among them is named


class OfflineContext:
    """The part of TorchServe's context that handlers use; a contract test compares it with the real one."""

    def __init__(self, folder: Path, config: dict[str, Any] | None = None) -> None:
        self.system_properties: dict[str, Any] = {"model_dir": str(folder), "gpu_id": None}
        self.model_yaml_config = config or {}
        self.max_response_bytes = sys.maxsize  # no server limits the responses
        self.headers: list[dict[str, str]] = []
        self.statuses: dict[int, tuple[int, str]] = {}
        self.content_types: dict[int, str] = {}
        self.response_headers: dict[int, dict[str, str]] = {}

    def get_request_header(self, idx: int, key: str) -> str | None:
        """Return one header of request `idx`, case-sensitive as in TorchServe."""
        return self.headers[idx].get(key) if idx < len(self.headers) else None

    def get_all_request_header(self, idx: int) -> dict[str, str]:
        """Return all headers of request `idx`."""
        return self.headers[idx] if idx < len(self.headers) else {}

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        """Remember the status of response `idx`."""
        self.statuses[idx] = (code, phrase)

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        """Remember a header of response `idx`."""
        self.response_headers.setdefault(idx, {})[key] = value

    def set_response_content_type(self, idx: int, value: str) -> None:
        """Remember the content type of response `idx`."""
        self.content_types[idx] = value


def loaded(folder: Path, threads: int = 0) -> tuple[Handler, OfflineContext]:
    """Return an initialised handler and its context; 0 threads means as many as the CPU budget allows.

    It runs on the CPU, or on the GPU whose number is in `ONNXSERVE_GPU`; `ONNXSERVE_PROVIDER` names another provider.
    """
    handler, gpu = make_handler(folder), os.environ.get(GPU, "")
    provider = os.environ.get(PROVIDER) or ("cuda" if gpu else "cpu")
    context = OfflineContext(folder, {"handler": {"threads": threads, "provider": provider}})
    context.system_properties["gpu_id"] = int(gpu) if gpu else None
    handler.initialize(context)
    return handler, context


def make_handler(folder: Path) -> Handler:
    """Return an opened handler of the class that `service.py` has, by `signature.json`."""
    handler = service_class(msgspec.json.decode((folder / "signature.json").read_bytes()))()
    handler.open(folder)
    return handler


def write_tensors(folder: Path, source: Path, target: Path) -> None:
    """Write the tensors for each line of `source` as arrays named `<part>/<input>`, in the order of the rows.

    A line is one part, unless neighbours in it may not run together. `parts` has the number of each line's.
    """
    _write_tensors(folder, source, target, split_by_key)


def split_by_key(handler: Handler, rows: list[Any]) -> list[list[Any]]:
    """Return the rows in parts of neighbours that may run together."""
    keys = handler.batch_keys(rows)
    if keys is None:
        return [rows]
    grouped = groupby(zip(keys, rows, strict=True), key=itemgetter(0))
    return [[row for _, row in neighbours] for _, neighbours in grouped]


def write_parts(folder: Path, source: Path, target: Path) -> None:
    """Write the tensors for the parts of each line that run together, as arrays named `<part>/<input>`."""

    def split(handler: Handler, rows: list[Any]) -> list[Any]:
        return [[rows[index] for index in part] for part in handler.parts(rows)]

    _write_tensors(folder, source, target, split)


def _write_tensors(folder: Path, source: Path, target: Path, split: Callable[[Handler, list[Any]], list[Any]]) -> None:
    handler, counts, number = make_handler(folder), list[int](), 0
    axes = {k: {str(i): n for i, n in v.items()} for k, v in handler.dynamic_axes.items()}
    with zipfile.ZipFile(target, "w") as archive:
        write_json(archive, "axes", axes)
        write_json(archive, "limits", handler.free_axes())
        write_json(archive, "least", handler.least_sizes())
        write_json(archive, "pads_left", handler.pads_left)
        for instances in read_lines(source):
            rows = [handler.check(value, f"row[{i}]") for i, value in enumerate(instances)]
            parts = split(handler, rows)
            counts.append(len(parts))
            for part in parts:
                for name, array in handler.tensors(part).items():
                    write_array(archive, f"{number}/{name}", array)
                write_places(archive, number, handler.sizes(part), handler.origins(part))
                number += 1
        write_array(archive, "parts", np.array(counts, np.int64))


def write_places(
    archive: zipfile.ZipFile, number: int, sizes: Mapping[str, Any], origins: Sequence[Any] | None
) -> None:
    """Write the rows' own sizes along free axes as `sizes/<number>/<axis>`, and where they have any, their origins."""
    for axis, values in sizes.items():
        write_array(archive, f"sizes/{number}/{axis}", np.asarray(values, np.int64))
    if origins is not None:
        write_json(archive, f"origins/{number}", origins)


def write_outputs(folder: Path, source: Path, target: Path) -> None:
    """Write the first output for each line of `source` as arrays named `<line>`; each line is one batch."""
    handler, _ = loaded(folder)
    with zipfile.ZipFile(target, "w") as archive:
        for line, instances in enumerate(read_lines(source)):
            write_array(archive, str(line), handler.outputs(instances))


def write_every_output(folder: Path, source: Path, target: Path) -> None:
    """Write all outputs for each line of `source` as arrays named `<line>/<output>`; each line is one batch."""
    handler, _ = loaded(folder)
    with zipfile.ZipFile(target, "w") as archive:
        for line, instances in enumerate(read_lines(source)):
            rows = [handler.check(value, f"row[{i}]") for i, value in enumerate(instances)]
            outputs = handler.infer(rows)
            for name, array in outputs.items():
                write_array(archive, f"{line}/{name}", array)
            write_places(archive, line, outputs.sizes, handler.origins(rows))


def write_measures(folder: Path, source: Path, target: Path) -> None:
    """Write the numbers that drift compares, over all lines of `source`, as arrays by measure.

    `MOST_ALIKE` is how often the most frequent row is there.
    """
    handler, measures, counts = make_handler(folder), dict[str, list[npt.NDArray[Any]]](), Counter[int]()
    for instances in read_lines(source):
        rows = [handler.check(value, f"row[{i}]") for i, value in enumerate(instances)]
        counts.update(map(row_key, rows))
        for name, values in handler.measures(rows).items():
            measures.setdefault(name, []).append(values)
    with zipfile.ZipFile(target, "w") as archive:
        for name, parts in measures.items():
            write_array(archive, name, np.concatenate(parts))
        write_array(archive, MOST_ALIKE, np.array([max(counts.values(), default=0)]))


def write_samples(folder: Path, source: Path, target: Path) -> None:
    """Write at most as many random instances as `source` says, one JSON line each; `check` accepts them."""
    handler, draws = make_handler(folder), np.random.default_rng(SEED)
    with target.open("wb") as stream:
        for _ in range(msgspec.json.decode(source.read_bytes())):
            instance = handler.sample(draws)
            if instance is None:
                return
            with contextlib.suppress(RequestError):  # a random text may have too many tokens
                handler.check(instance, "sample")
                stream.write(msgspec.json.encode(instance) + b"\n")


def write_faults(folder: Path, source: Path, target: Path) -> None:
    """Write each reason why `check` refuses instances: how many, the first one's number, and those among the first."""
    handler, records, number = make_handler(folder), dict[tuple[str, str], dict[str, Any]](), 0
    for instances in read_lines(source):
        for place, row in enumerate(handler.check_all(instances, range(len(instances)))):
            if isinstance(row, RequestError):
                reason = reason_of(handler, instances[place], row)
                first = {"reason": reason, "fix": row.fix, "place": row.where, "first": number + place}
                record = records.setdefault((reason, row.fix), {**first, "count": 0, "early": []})
                record["count"] += 1
                record["early"] += [number + place] if number + place < EARLY else []
        number += len(instances)
    target.write_bytes(msgspec.json.encode(list(records.values())))


def reason_of(handler: Handler, instance: Any, error: RequestError) -> str:
    """Return an error's reason; clients see nothing of an exception that isn't theirs, but its author does."""
    if not isinstance(error, InternalError):
        return error.reason
    try:
        handler.check(instance, "row")
    except Exception as raised:  # noqa: BLE001 - whatever a user's handler raises
        return f"{type(raised).__name__}: {raised}"
    return error.reason


def read_lines(source: Path) -> Iterator[Any]:
    """Yield the JSON document of each line."""
    with source.open("rb") as stream:
        for text in stream:
            yield msgspec.json.decode(text)


def write_times(folder: Path, source: Path, target: Path) -> None:
    """Write the times of `timing.measure` for the plan's `threads` and `batches`."""
    plan = msgspec.json.decode(source.read_bytes())
    handlers = {count: loaded(folder, count) for count in plan["threads"]}
    times = measure(read_golden(folder).instances, handlers, plan["batches"])
    target.write_bytes(msgspec.json.encode(times))


def write_array(archive: zipfile.ZipFile, name: str, array: npt.NDArray[Any]) -> None:
    """Write one member of an .npz file, texts as numpy's own; the whole file is never in memory."""
    plain = array.astype(np.str_) if array.dtype.kind == "O" else array
    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
        np.lib.format.write_array(stream, np.ascontiguousarray(plain), allow_pickle=False)


def write_json(archive: zipfile.ZipFile, name: str, document: Any) -> None:
    """Write one member of an .npz file, the bytes of a JSON document."""
    write_array(archive, name, np.frombuffer(msgspec.json.encode(document), dtype=np.uint8))


def write_answers(folder: Path, source: Path, target: Path) -> None:
    """Write the whole handler's status and response for each body; all bodies are one batch."""
    handler, context = loaded(folder)
    bodies = source.read_bytes().splitlines()
    context.headers = [{"Content-Type": "application/json"}] * len(bodies)
    responses = handler.handle([{"body": body} for body in bodies], context)
    lines = [
        msgspec.json.encode({"status": context.statuses.get(i, (200, ""))[0], "body": msgspec.Raw(response)})
        for i, response in enumerate(responses)
    ]
    target.write_bytes(b"\n".join(lines) + b"\n")


COMMANDS: dict[str, Callable[[Path, Path, Path], None]] = {
    "tensors": write_tensors,
    "parts": write_parts,
    "outputs": write_outputs,
    "every_output": write_every_output,
    "measures": write_measures,
    "answers": write_answers,
    "faults": write_faults,
    "samples": write_samples,
    "times": write_times,
}


def main(arguments: list[str]) -> None:
    """Run the command line of the module's docstring."""
    folder, command, source, target = arguments
    COMMANDS[command](Path(folder), Path(source), Path(target))


if __name__ == "__main__":
    main(sys.argv[1:])
