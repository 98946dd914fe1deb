"""`sbom.cdx.json`, the software bill of materials: what an archive is made of and what it needs, as CycloneDX 1.6.

Source: https://cyclonedx.org/docs/1.6/json/. It has no times or serial numbers: the same export gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnxserve.archive import file_digest
from onnxserve.archive.needs import needs_of, version_of
from onnxserve.definition import Source
from onnxserve.locations.location import parse_location

from .export_state import ExportState

TOOLS = ("torch", "onnx", "onnxscript", "onnxserve")  # what made it


def bom(state: ExportState) -> dict[str, Any]:
    """Return the document: the model, its sources by digest, the packages that it needs, and those that made it."""
    definition = state.definition
    model = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": definition.name,
        "version": definition.version,
        "hashes": [sha256(file_digest(state.chosen.path))],
        "description": f"{state.chosen.variant} graph, model.onnx",
    }
    sources = [source(number, pinned) for number, pinned in enumerate(definition.sources)]
    needs = packages(needs_of(definition.input.kind, state.provider))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": model,
            "tools": {"components": packages(TOOLS)},
        },
        "components": [*sources, *needs],
        "dependencies": [{"ref": "model", "dependsOn": [component["bom-ref"] for component in (*sources, *needs)]}],
    }


def source(number: int, pinned: Source) -> dict[str, Any]:
    """Describe what weights or rows came from, as the package registry names it or by its location."""
    if pinned.location:
        location = parse_location(pinned.location, pinned.sha256)
        return {
            "type": "data",
            "bom-ref": f"source-{number}",
            "name": pinned.name,
            **({"hashes": [sha256(location.sha256)]} if location.sha256 else {}),
            **({"externalReferences": [{"type": "distribution", "url": location.public}]} if location.scheme else {}),
        }
    return {
        "type": "file",
        "bom-ref": f"source-{number}",
        "name": pinned.file,
        "version": pinned.version,
        "hashes": [sha256(pinned.sha256)],
        "purl": f"pkg:pypi/{pinned.package.lower()}@{pinned.version}",
    }


def packages(names: Sequence[str]) -> list[dict[str, Any]]:
    """Describe those of the named packages that are installed here, with their versions."""
    installed = [(name, version_of(name)) for name in names]
    return [
        {
            "type": "library",
            "bom-ref": name,
            "name": name,
            "version": number,
            "purl": f"pkg:pypi/{name}@{number.replace('+', '%2B')}",
        }
        for name, number in installed
        if number
    ]


def sha256(digest: str) -> dict[str, str]:
    """Write a SHA-256 as CycloneDX does."""
    return {"alg": "SHA-256", "content": digest}
