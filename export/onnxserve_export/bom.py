"""`sbom.cdx.json`: what an archive is made of and what it needs, as CycloneDX 1.6.

https://cyclonedx.org/docs/1.6/json/. Without times or serial numbers, so that the same export gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnxserve.archive import file_digest
from onnxserve.archive.needs import NEEDS, version_of

from .export_state import ExportState

TOOLS = ("torch", "onnx", "onnxscript", "onnxserve")  # what made it


def bom(state: ExportState) -> dict[str, Any]:
    """The document: the model, its sources by digest, the packages it needs, and those that made it."""
    definition = state.definition
    model = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": definition.name,
        "version": definition.version,
        "hashes": [sha256(file_digest(state.chosen.path))],
        "description": f"{state.chosen.variant} graph, model.onnx",
    }
    sources = [source(number, one) for number, one in enumerate(definition.sources)]
    needs = packages(NEEDS)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": model,
            "tools": {"components": packages(TOOLS)},
        },
        "components": [*sources, *needs],
        "dependencies": [{"ref": "model", "dependsOn": [one["bom-ref"] for one in (*sources, *needs)]}],
    }


def source(number: int, one: Any) -> dict[str, Any]:
    """A file that weights or rows came from, as the registry has it."""
    return {
        "type": "file",
        "bom-ref": f"source-{number}",
        "name": one.file,
        "version": one.version,
        "hashes": [sha256(one.sha256)],
        "purl": f"pkg:pypi/{one.package.lower()}@{one.version}",
    }


def packages(names: Sequence[str]) -> list[dict[str, Any]]:
    """Those of this environment."""
    found = [(name, version_of(name)) for name in names]
    return [
        {
            "type": "library",
            "bom-ref": name,
            "name": name,
            "version": number,
            "purl": f"pkg:pypi/{name}@{number.replace('+', '%2B')}",
        }
        for name, number in found
        if number
    ]


def sha256(digest: str) -> dict[str, str]:
    """A hash as CycloneDX writes it."""
    return {"alg": "SHA-256", "content": digest}
