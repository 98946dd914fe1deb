"""How long each node of a graph takes, by onnxruntime's profiler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec
import onnxruntime as ort

from onnxserve.scratch import Scratch

from .arrays import Arrays

RUN = "_kernel_time"  # ends the name of an event that is one run of a node


def node_times(path: Path, batches: Iterable[Arrays]) -> dict[str, float]:
    """Return the milliseconds of each node for all batches, on one thread and without fusions, which rename."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.enable_profiling = True
    with Scratch() as folder:
        options.profile_file_prefix = str(folder / "profile")
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for batch in batches:
            session.run(None, batch)
        events = msgspec.json.decode(Path(session.end_profiling()).read_bytes())
    times: Counter[str] = Counter()
    for event in events:
        if event["name"].endswith(RUN):
            times[event["name"].removesuffix(RUN)] += event["dur"]
    return {name: microseconds / 1000 for name, microseconds in times.items()}
