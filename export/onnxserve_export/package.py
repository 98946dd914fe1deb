"""Step package: everything into one reproducible archive, still in the scratch folder."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from typing import Any

import msgspec
import onnx
import yaml

from onnxserve.archive import file_digest, manifest, write_archive
from onnxserve.archive.manifest import CONFIG
from onnxserve.archive.write import pretty
from onnxserve.definition import ServeSection

from .answer_size import unreachable
from .bom import bom
from .company import SEED as BATCH_SEED
from .environment import versions
from .judge import task_of
from .load import SEED as LOAD_SEED
from .records import Measured
from .rows import SEED as SPLIT_SEED
from .step import Step
from .work import Work

MIN_TOLERANCE = 0.01  # spreads of torch's outputs; other kernels round differently
MARGIN = 4


def tensors_of(values: Any) -> list[dict[str, Any]]:
    """Name, dtype and shape of the graph's inputs or outputs; a free axis by its name."""
    found = []
    for value in values:
        kind = value.type.tensor_type
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
        shape = [dim.dim_param or dim.dim_value for dim in kind.shape.dim]
        found.append({"name": value.name, "dtype": dtype, "shape": shape})
    return found


def server_config(serve: ServeSection, largest: int) -> bytes:
    """`model-config.yaml`. Every key is written: TorchServe's defaults override its own config when one is absent."""
    return yaml.safe_dump(
        {
            "minWorkers": serve.workers,
            "maxWorkers": serve.workers,
            "batchSize": min(serve.batch_size, largest),
            "maxBatchDelay": serve.max_batch_delay_ms,
            "responseTimeout": serve.response_timeout_s,
            "startupTimeout": serve.startup_timeout_s,
            "jobQueueSize": serve.queue,
            "maxRetryTimeoutInSec": 60,
            "handler": {
                "provider": serve.provider,
                "threads": serve.threads,
                "gpu": msgspec.to_builtins(serve.gpu),
            },
            "tuning": {} if serve.p99_ms is None else {"p99_ms": serve.p99_ms},
        },
        sort_keys=False,
    ).encode()


def evidence(work: Work) -> dict[str, Any]:
    """What was proven, without times: they'd give the same model another digest each day."""
    chosen = next(result for result in work.measured if result.variant == work.chosen.variant)
    summary: dict[str, Any] = {
        "variant": chosen.variant,
        "task": work.definition.quantise.metric or task_of(work.definition),
        "budget": work.definition.quantise.max_accuracy_drop,
        "tolerance": work.definition.quantise.tolerance,
        "spread": work.certified.spread,
        "worst_parity": max(parity.deviation for parity in work.parity),
        "batch_shift": chosen.batch_shift,
        "moves": chosen.moves,
        "max_batch": chosen.max_batch,
        "model_sha256": file_digest(work.chosen.path),
    }
    if chosen.paired:
        summary |= asdict(chosen.paired)
    return {
        "summary": summary,
        "variants": [asdict(result) for result in work.measured],
        "certify": msgspec.to_builtins(work.certified),
        "refused": work.refused,
        "sensitivity": msgspec.to_builtins(work.sensitivity),
        "findings": [asdict(finding) for finding in work.findings],
        "ranges": [asdict(one) for one in work.ranges],
        "parity": [asdict(parity) for parity in work.parity],
        "data": {
            "rows": {name: len(share) for name, share in work.split.shares.items()},
            "sha256": {name: share.digest for name, share in work.split.shares.items()},
            "duplicates_dropped": work.split.duplicates,
        },
        "seeds": {"split": SPLIT_SEED, "load": LOAD_SEED, "batches": BATCH_SEED},
        "sources": [msgspec.to_builtins(source) for source in work.definition.sources],
        "environment": versions(),
    }


def golden(work: Work, chosen: Measured) -> dict[str, Any]:
    """`golden.json`: torch's outputs, which every worker must reproduce before it is ready."""
    return {
        "instances": [row["input"] for row in work.golden],
        "outputs": [[float(value) for value in output.reshape(-1)] for output in work.golden_outputs],
        "tolerance": max(MIN_TOLERANCE, MARGIN * chosen.golden_deviation),
        "scale": work.scale.tolist(),
    }


def proof(work: Work) -> bytes:
    """`proof.jsonl`: certify rows as clients would send them, their labels, and torch's outputs for them."""
    rows = islice(zip(work.split.certify, work.reference, strict=True), work.definition.quantise.proof_rows)
    lines = [{"input": row.value, "label": row.label, "output": output.reshape(-1).tolist()} for row, output in rows]
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def call(work: Work) -> None:
    """Collect the members and write the archive."""
    chosen = next(result for result in work.measured if result.variant == work.chosen.variant)
    graph = onnx.load(work.chosen.path, load_external_data=False).graph
    signature = msgspec.json.decode((work.stage / "signature.json").read_bytes())
    signature |= {
        "variant": chosen.variant,
        "inputs": tensors_of(graph.input),
        "outputs": tensors_of(graph.output),
        "max_batch": chosen.max_batch,
    }
    if warning := unreachable(work):
        work.say(f"      {warning}")
    work.evidence = evidence(work)
    members = {
        str(path.relative_to(work.stage)): path.read_bytes()
        for path in sorted(work.stage.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    members |= {
        "model.onnx": work.chosen.path.read_bytes(),
        "signature.json": pretty(signature),
        "golden.json": pretty(golden(work, chosen)),
        "evidence.json": pretty(work.evidence),
        "proof.jsonl": proof(work),
        "sbom.cdx.json": pretty(bom(work)),
        CONFIG: server_config(work.definition.serve, chosen.max_batch),
    }
    definition = work.definition
    work.archive = work.scratch / f"{definition.name}-{definition.version}.mar"
    work.sha256 = write_archive(work.archive, members, manifest(definition.name, definition.version))


STEP = Step(
    "package", ("stage", "chosen", "measured", "certified", "parity", "golden_outputs"), ("archive", "sha256"), call
)
