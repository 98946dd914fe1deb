"""Runs graphs in a process of its own: toolchains emit files that crash whoever loads them.

`python probe.py run MODEL GROUPS.npz OUT.npz` or `python probe.py time GROUPS.npz OUT.json MODEL...`.
Imports nothing of ours, so that it can be started by its path.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

ROUNDS = 15


def session(path: str) -> ort.InferenceSession:
    """One thread, no spinning: what a worker on a busy machine gets."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def read_groups(path: str) -> list[dict[str, Any]]:
    """The inverse of `write_groups` in run.py."""
    groups: dict[int, dict[str, Any]] = {}
    with np.load(path) as arrays:
        for key in arrays.files:
            line, _, name = key.partition("/")
            groups.setdefault(int(line), {})[name] = arrays[key]
    return [groups[line] for line in sorted(groups)]


def run(model: str, source: str, target: str) -> None:
    """First output of every group, as arrays named `0`, `1` and so on."""
    loaded = session(model)
    outputs = [loaded.run(None, group)[0] for group in read_groups(source)]
    np.savez(target, **{str(index): output for index, output in enumerate(outputs)})


def measure(source: str, target: str, *models: str) -> None:
    """Median milliseconds a row for each model, the models taking turns so that drift hits all alike."""
    groups = read_groups(source)
    rows = sum(len(next(iter(group.values()))) for group in groups)
    loaded = {model: session(model) for model in models}
    samples: dict[str, list[float]] = {model: [] for model in models}
    for round_ in range(ROUNDS + 1):
        for model, one in loaded.items():
            start = time.perf_counter()
            for group in groups:
                one.run(None, group)
            if round_:  # the first is warm-up
                samples[model].append((time.perf_counter() - start) * 1000 / rows)
    medians = {model: statistics.median(times) for model, times in samples.items()}
    Path(target).write_text(json.dumps(medians), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1] == "time":
        measure(*sys.argv[2:])
    else:
        run(*sys.argv[2:])
