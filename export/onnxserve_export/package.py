"""Step package: write everything into one reproducible archive, still in the scratch folder."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgspec
import onnx
import yaml

from onnxserve.archive import file_digest, manifest, write_archive
from onnxserve.archive.evidence import UNPROVEN
from onnxserve.archive.manifest import CONFIG
from onnxserve.archive.proof import ProofArray, ProofRow
from onnxserve.archive.write import pretty
from onnxserve.definition import ServeSection, Source
from onnxserve.locations.location import parse_location
from onnxserve_handlers.trust.model import Golden, GoldenOutput

from .acceptance import budget_of
from .answer_size import unreachable
from .arrays import main
from .batch_composition import SEED as BATCH_SEED
from .batch_composition import spread
from .bom import bom
from .criterion import ACCURACY, LABELS
from .environment import versions
from .export_state import ExportState
from .fetch import location_of
from .graph_file import weight_files
from .load import SEED as LOAD_SEED
from .measure import statement
from .records import Measured
from .rows import SEED as SPLIT_SEED
from .step import Step
from .variants import FP32

MIN_TOLERANCE = 0.01  # spreads of the source's outputs; other kernels round differently
MARGIN = 4
PROOF_BYTES = 64 * 2**20  # of the outputs that travel in an archive


def tensors_of(values: Any) -> list[dict[str, Any]]:
    """Describe the graph's inputs or outputs by name, dtype and shape; a free axis by its name."""
    tensors = []
    for value in values:
        kind = value.type.tensor_type
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
        shape = [dim.dim_param or dim.dim_value for dim in kind.shape.dim]
        tensors.append({"name": value.name, "dtype": dtype, "shape": shape})
    return tensors


def server_config(serve: ServeSection, largest: int) -> bytes:
    """Return `model-config.yaml` with every key: TorchServe's defaults override its own config where one is absent."""
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


def evidence(state: ExportState) -> dict[str, Any]:
    """Return what was proven, without times, which would give the same model another digest each day."""
    chosen = chosen_result(state)
    definition, split = state.definition, state.split
    task, claim, measure = statement(state)
    spreads = state.certified.spreads
    summary: dict[str, Any] = {
        "variant": chosen.variant,
        "proof": chosen.proof,
        "draft": state.options.draft,
        "source": state.model.name,
        "task": definition.quantise.metric or task,
        "claim": claim,
        "measure": measure,
        "unit": state.split.unit,
        "ranks": state.split.ranks,
        "budget": budget_of(definition),
        "tolerance": definition.quantise.tolerance,
        "spread": spreads[0] if len(spreads) == 1 else spreads,
        "worst_parity": max(parity.deviation for parity in state.parity),
        "row_parity": None if state.row_parity is None else asdict(state.row_parity),
        "batch_shift": chosen.batch_shift,
        "moves": chosen.moves,
        "max_batch": chosen.max_batch,
        "model_sha256": file_digest(state.chosen.path),
        "drift_profile": asdict(state.profile),
    }
    if chosen.proof == UNPROVEN:
        summary |= {"unproven": why_unproven(state, chosen), "rows_wanted": state.plan.wanted}
    if chosen.paired:
        summary |= asdict(chosen.paired)
    if task == LABELS and claim == ACCURACY:
        summary["unseen_labels"] = unseen_labels(state)
    return {
        "summary": summary,
        "variants": [asdict(result) for result in state.measured],
        "certify": msgspec.to_builtins(state.certified),
        "refused": state.refused,
        "sensitivity": msgspec.to_builtins(state.sensitivity),
        "findings": [asdict(finding) for finding in state.findings],
        "ranges": [asdict(axis_range) for axis_range in state.ranges],
        "parity": [asdict(parity) for parity in state.parity],
        "data": {
            "rows": {name: len(subset) for name, subset in split.subsets.items()},
            "unlabelled": split.unlabelled,
            "sha256": {name: subset.digest for name, subset in split.subsets.items()},
            "duplicates_dropped": split.duplicates,
            **origin_of(definition.rows.location),
        },
        "seeds": {"split": SPLIT_SEED, "load": LOAD_SEED, "batches": BATCH_SEED},
        "source": origin_of(definition.source),
        "sources": [origin(source) for source in definition.sources],
        "environment": versions(state.provider),
    }


def unseen_labels(state: ExportState) -> list[str]:
    """Return the labels that no certify row has: nothing is known of them."""
    seen = {str(row.label) for row in state.split.certify}
    return [label for label in state.definition.labels if label not in seen]


def chosen_result(state: ExportState) -> Measured:
    """Return what was measured of the variant that serves."""
    return next(result for result in state.measured if result.variant == state.chosen.variant)


def why_unproven(state: ExportState, chosen: Measured) -> str:
    """Return what its proof lacks, and how many rows would do."""
    if state.options.development_version:
        return "`onnxserve serve --reload` made it for development; `onnxserve export` makes one that is proven"
    if chosen.variant == FP32 and state.row_parity is not None and not state.row_parity.fault:
        return "no row of the definition was compared, and one would do for fp32"
    rows = f"about {state.plan.wanted} rows would do" if state.plan.needed else "no number of rows would do"
    return f"{chosen.refusal or 'it has no certificate'}; {rows} if it changes no answer"


def origin_of(reference: str) -> dict[str, str]:
    """Return where a model or its rows were, and the digest that pins them; nothing if a function gave them."""
    location = location_of(reference)
    if location is None:
        return {}
    return {"location": location.public} | ({"location_sha256": location.sha256} if location.sha256 else {})


def origin(source: Source) -> dict[str, str]:
    """Return where a source was, without the query of its URL, which may grant access."""
    fields = {name: value for name, value in msgspec.structs.asdict(source).items() if value}
    if source.location:
        location = parse_location(source.location, source.sha256)
        fields |= {"location": location.public} | ({"sha256": location.sha256} if location.sha256 else {})
    return fields


def golden(state: ExportState, chosen: Measured) -> Golden:
    """Return `golden.json`: the source's outputs and the labels, which every worker must reproduce to get ready."""
    _, *others = state.golden_outputs
    return Golden(
        [row["input"] for row in state.golden],
        [[float(value) for value in output.reshape(-1)] for output in main(state.golden_outputs)],
        max(MIN_TOLERANCE, MARGIN * chosen.golden_deviation),
        main(state.scales).tolist(),
        {name: GoldenOutput.of(state.golden_outputs[name], state.scales[name]) for name in others},
        [row["label"] for row in state.golden],
    )


def proof(state: ExportState) -> bytes:
    """Return `proof.jsonl`: certify rows as clients would send them, their labels, and the source's outputs.

    Large outputs, such as masks, limit the number of rows. Rows that follow each other are of different sizes, so that
    whoever repeats the proof runs batches with padding.
    """
    outputs, rows = state.reference, len(state.split.certify)
    largest = PROOF_BYTES * rows // max(1, sum(array.nbytes for array in outputs.values()))
    count = min(rows, state.definition.quantise.proof_rows, max(1, largest))
    # The first rows would be the small ones of a window; but documents say something beside those of their query only.
    places = spread(rows, count) if state.split.queries is None else range(count)
    lines = [
        ProofRow(row.value, row.label, {name: ProofArray.of(array[number]) for name, array in outputs.items()})
        for number, row in zip(places, state.split.certify.at(places), strict=True)
    ]
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def call(state: ExportState) -> None:
    """Collect the members and write the archive."""
    chosen = chosen_result(state)
    graph = onnx.load(state.chosen.path, load_external_data=False).graph
    signature = msgspec.json.decode((state.archive_folder / "signature.json").read_bytes())
    signature |= {
        "variant": chosen.variant,
        "inputs": tensors_of(graph.input),
        "outputs": tensors_of(graph.output),
        "max_batch": chosen.max_batch,
    }
    if warning := unreachable(state):
        state.say(f"      {warning}")
    state.evidence = evidence(state)
    members = {
        str(path.relative_to(state.archive_folder)): path.read_bytes()
        for path in sorted(state.archive_folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    members |= {file.name: file.read_bytes() for file in weight_files(state.chosen.path)}
    members |= {
        "model.onnx": state.chosen.path.read_bytes(),
        "signature.json": pretty(signature),
        "golden.json": pretty(msgspec.to_builtins(golden(state, chosen))),
        "evidence.json": pretty(state.evidence),
        "proof.jsonl": proof(state),
        "sbom.cdx.json": pretty(bom(state)),
        CONFIG: server_config(state.definition.serve, chosen.max_batch),
    }
    definition = state.definition
    state.archive = state.scratch / f"{definition.name}-{definition.version}.mar"
    state.sha256 = write_archive(state.archive, members, manifest(definition.name, definition.version))


STEP = Step(
    "package",
    ("archive_folder", "chosen", "measured", "certified", "parity", "golden_outputs", "profile"),
    ("archive", "sha256"),
    call,
)
