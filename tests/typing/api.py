"""The types of the Python API, as mypy sees them in a user's program; `make types` checks this file.

A line that must be refused says so by `type: ignore`, which mypy reports where it refuses nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

import numpy as np
from torch import nn

import onnxserve
from onnxserve.archive import CheckResult
from onnxserve.release import VersionStatus
from onnxserve_export.rerun import Rerun


def exported(module: nn.Module, rows: list[tuple[list[float], str | None]]) -> onnxserve.Archive:
    table = {"kind": "table", "columns": ["x", "y"]}
    archive = onnxserve.export(module, rows, input=table, output="raw", budget=0.01, files={"a": b"", "b": Path("c")})
    assert_type(archive, onnxserve.Archive)
    assert_type(onnxserve.export("models/reviews", version="1.1.0", draft=True, say=print), onnxserve.Archive)
    assert_type(onnxserve.import_(Path("net.onnx"), "net", rows="rows.parquet"), Path)
    onnxserve.export(module, rows, input=3)  # type: ignore[arg-type]
    onnxserve.export(module, rows, drafts=True)  # type: ignore[call-arg]
    onnxserve.export(module, rows, budget="1 %")  # type: ignore[arg-type]
    onnxserve.import_()  # type: ignore[call-arg]
    return archive


def opened(path: str | Path) -> None:
    archive = onnxserve.Archive(path)
    assert_type(archive.evidence, onnxserve.Evidence)
    assert_type(archive.evidence.bound, float | None)
    assert_type(archive.evidence["summary"], Any)
    assert_type(archive.report, onnxserve.Report)
    assert_type(archive.golden_rows, list[Any])
    assert_type(archive.verify(["ours.pub"]), CheckResult)
    assert_type(archive.sign("ours.pem"), onnxserve.Archive)
    assert_type(onnxserve.prove(archive), Rerun)
    predictions = archive.predict(np.zeros((3, 2)), parameters={"top_k": 1})
    assert_type(predictions, onnxserve.Predictions)
    assert_type(predictions[0], Any)
    assert_type(predictions[1:], onnxserve.Predictions)
    archive.name = "other"  # type: ignore[misc]
    archive.predict(3)  # type: ignore[arg-type]
    onnxserve.Archive(b"model.mar")  # type: ignore[arg-type]


def serving(archive: onnxserve.Archive) -> None:
    with onnxserve.serve([archive, "other.mar"], gateway={"cache": {"seconds": 60.0}}, timeout_s=60) as server:
        assert_type(server, onnxserve.Server)
        assert_type(server.url, str)
        assert_type(server.predict("reviews", ["good film"], version="1.0.0"), onnxserve.Predictions)
        assert_type(server.canary("reviews", "1.1.0", 5), list[str])
        assert_type(server.status(), list[VersionStatus])
    onnxserve.serve(archive, client={"key": "secret", "ca": "ca.pem"})
    onnxserve.serve(archive, client={"keys": "secret"})  # type: ignore[arg-type]
    onnxserve.serve(3)  # type: ignore[arg-type]
    onnxserve.serve(archive).promote()  # type: ignore[call-arg]
    onnxserve.bake  # type: ignore[attr-defined]  # noqa: B018 - as a user might write it
