"""A Triton model repository: the archive's own handler behind Triton's Python backend.

Layout: https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_repository.html.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from onnxserve.archive import check_archive, read_config, read_signature, unpack
from onnxserve.archive.needs import provider_of, requirements_of
from onnxserve_handlers.registry import input_kind, task
from onnxserve_handlers.signature import TEXT_PAIR, datatype

OF_TRITON = ("numpy",)  # Triton has the version that its backend was built for; with a newer one texts may get lost
BACKEND = Path(__file__).parent / "files" / "triton_model.py"
CONFIG = """# Written by `onnxserve archive convert`. Answers are those of the archive in `archive`.
name: "{name}"
backend: "python"
max_batch_size: {batch}
input [{inputs}
]
output [{outputs}
]
dynamic_batching {{
  max_queue_delay_microseconds: {delay}
}}
instance_group [
  {{
    count: {workers}
    kind: {kind}
  }}
]
parameters {{
  key: "provider"
  value {{ string_value: "{provider}" }}
}}
parameters {{
  key: "threads"
  value {{ string_value: "{threads}" }}
}}
"""
# Types and sizes of what a task adds to the graph's outputs.
TASK_OUTPUTS = {"label": ("STRING", "1"), "score": ("FP32", "1"), "embedding": ("FP32", "-1")}
TENSOR = '\n  {{\n    name: "{name}"\n    data_type: TYPE_{kind}\n    dims: [ {dims} ]\n  }}'


def to_triton(archive: Path, repository: Path) -> list[Path]:
    """Write `NAME/config.pbtxt`, `NAME/VERSION/model.py`, the archive unpacked and `NAME/requirements.txt`.

    Raises ArchiveError if the archive fails its check.
    """
    checked = check_archive(archive)
    # Triton's versions are whole numbers: 1.2.3 is 1002003.
    number = 0
    for part in checked.version.split("."):
        number = number * 1000 + int(part)
    model = repository / checked.name
    place = model / str(number)
    signature = read_signature(archive)
    server_config = read_config(archive)
    text = configuration(checked.name, signature, server_config)
    shutil.rmtree(place / "archive", ignore_errors=True)  # of an earlier export, whose handlers have another name
    unpack(archive, place / "archive")
    (place / "model.py").write_bytes(BACKEND.read_bytes())
    config, needs = model / "config.pbtxt", model / "requirements.txt"
    config.write_text(text, encoding="utf-8")
    kind, provider = signature["input"]["kind"], provider_of(server_config)
    needs.write_text(requirements_of(kind, provider=provider, left_out=OF_TRITON), encoding="utf-8")
    return [config, place / "model.py", place / "archive", needs]


def configuration(name: str, signature: dict[str, Any], server_config: dict[str, Any]) -> str:
    """Return `config.pbtxt`: BYTES inputs if the handler makes tensors of rows, else the graph's inputs."""
    row = input_kind(signature["input"]["kind"]).input_options.row_name
    fields = TEXT_PAIR if signature["input"].get("pairs") else (row,) if row else ()
    inputs = [(field, "STRING", "1") for field in fields] or [tensor(described) for described in signature["inputs"]]
    outputs = [tensor(described) for described in signature["outputs"]]
    names = {name for name, _, _ in outputs}
    added = task(signature["output"]["task"]).output_options.tensors
    outputs += [(name, *TASK_OUTPUTS[name]) for name in added if name not in names]
    settings = server_config.get("handler") or {}
    provider = provider_of(server_config)
    return CONFIG.format(
        name=name,
        batch=signature["max_batch"],
        inputs=",".join(TENSOR.format(name=tensor_name, kind=kind, dims=dims) for tensor_name, kind, dims in inputs),
        outputs=",".join(TENSOR.format(name=tensor_name, kind=kind, dims=dims) for tensor_name, kind, dims in outputs),
        delay=int(server_config.get("maxBatchDelay", 1)) * 1000,
        workers=int(server_config.get("maxWorkers", 1)),
        kind="KIND_GPU" if provider in ("cuda", "tensorrt") else "KIND_CPU",
        provider=provider,
        threads=int(settings.get("threads", 0)),
    )


def tensor(described: dict[str, Any]) -> tuple[str, str, str]:
    """Return name, type and dimensions without the batch's; free dimensions are -1."""
    sizes = [str(size) if isinstance(size, int) else "-1" for size in described["shape"][1:]]
    return str(described["name"]), datatype(described["dtype"]), ", ".join(sizes) or "1"
