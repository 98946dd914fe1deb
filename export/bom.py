"""`sbom.cdx.json`: what an archive is made of and what it needs, as CycloneDX 1.6.

https://cyclonedx.org/docs/1.6/json/. Without times or serial numbers, so that the same export gives the same bytes.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from onnxserve.archive import file_digest

from .work import Work

NEEDS = ("msgspec", "numpy", "onnxruntime", "pillow", "tokenizers")  # what handlers import
TOOLS = ("torch", "onnx", "onnxscript", "onnxserve")  # what made it


def bom(work: Work) -> dict[str, Any]:
    """The document: the model, its sources by digest, the packages it needs, and those that made it."""
    definition = work.definition
    model = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": definition.name,
        "version": definition.version,
        "hashes": [sha256(file_digest(work.chosen.path))],
        "description": f"{work.chosen.variant} graph, model.onnx",
    }
    sources = [source(number, one) for number, one in enumerate(definition.sources)]
    needs = [package(name) for name in NEEDS if installed(name)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": model,
            "tools": {"components": [package(name) for name in TOOLS if installed(name)]},
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


def package(name: str) -> dict[str, Any]:
    """A package of this environment."""
    found = version(name)
    return {
        "type": "library",
        "bom-ref": name,
        "name": name,
        "version": found,
        "purl": f"pkg:pypi/{name}@{found.replace('+', '%2B')}",
    }


def installed(name: str) -> bool:
    """Whether this environment has it."""
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def sha256(digest: str) -> dict[str, str]:
    """A hash as CycloneDX writes it."""
    return {"alg": "SHA-256", "content": digest}
