"""Runs a graph in a process of its own: toolchains emit files that crash whoever loads them.

`python graph_process.py MODEL BATCHES.npz START STOP OUT.npz PROVIDER` writes every output of each batch as
`<number>/<output>`, numbered from 0. `python graph_process.py MODEL OPTIMISED.onnx` writes the graph as onnxruntime
optimises it, with its weights beside it. It is started by its path, since importing the package would take longer.
"""

from __future__ import annotations

import os
import sys
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
import onnxruntime as ort

FATAL = 4  # of the levels of its log


def session(graph: str | bytes, threads: int = 1, optimised: str = "", provider: str = "cpu") -> ort.InferenceSession:
    """Open a graph's file or its bytes without spinning, as a worker does.

    What it is optimised to is written if `optimised` names a file.
    `provider` is `cpu` or `openvino`; RuntimeError if ONNX Runtime takes the CPU's kernels in place of OpenVINO.
    """
    options = ort.SessionOptions()
    if optimised:
        options.optimized_model_filepath = optimised
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "weights.data")
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("optimization.disable_specified_optimizers", "SkipLayerNormFusion")
    options.log_severity_level = FATAL  # a failed run's exception says enough
    if provider == "openvino":
        from onnxserve_handlers.runtime.session import OPENVINO, add_openvino

        loaded = ort.InferenceSession(graph, options, providers=add_openvino(options, threads))
        if loaded.get_providers()[0] != OPENVINO:
            raise RuntimeError(f"OpenVINO can't open the graph, and {loaded.get_providers()} took its place")
        return loaded
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def read_batches(path: str, start: int, stop: int) -> Iterator[dict[str, Any]]:
    """Yield the batches `start` to `stop` of an .npz file, one after the other."""
    with np.load(path) as arrays:
        names: dict[int, list[str]] = {}
        for key in arrays.files:
            number, _, name = key.partition("/")
            if number.isdigit():
                names.setdefault(int(number), []).append(name)
        for number in range(start, stop):
            yield {name: arrays[f"{number}/{name}"] for name in names[number]}


def in_order(
    run: Callable[[dict[str, Any]], list[Any]], batches: Iterable[dict[str, Any]], threads: int = 0
) -> Iterator[list[Any]]:
    """Yield the outputs of batches in their order; as many run at a time as there are cores, or `threads`.

    Each runs on one thread, so its outputs are those of a worker to the last bit.
    """
    threads = threads or len(os.sched_getaffinity(0))
    rest = iter(batches)
    with ThreadPoolExecutor(threads) as pool:
        running = deque(pool.submit(run, batch) for batch in islice(rest, threads))
        while running:
            outputs = running.popleft().result()
            running.extend(pool.submit(run, batch) for batch in islice(rest, 1))
            yield outputs


def write_outputs(model: str, source: str, start: str, stop: str, target: str, provider: str) -> None:
    """Run the batches and write the outputs, one array after the other."""
    loaded = session(model, provider=provider)
    names = [output.name for output in loaded.get_outputs()]
    outputs = in_order(lambda batch: loaded.run(names, batch), read_batches(source, int(start), int(stop)))
    with zipfile.ZipFile(target, "w") as archive:
        for number, arrays in enumerate(outputs):
            for name, array in zip(names, arrays, strict=True):
                with archive.open(f"{number}/{name}.npy", "w", force_zip64=True) as stream:
                    np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        session(sys.argv[1], optimised=sys.argv[2])
    else:
        write_outputs(*sys.argv[1:])
