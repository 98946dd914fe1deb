"""`python schemas.py < documents.json`: which fields KServe's own models don't know, one line each. Needs kserve."""

import json
import re
import sys
from typing import Any

import kserve

KINDS = {"ServingRuntime": kserve.V1alpha1ServingRuntime, "InferenceService": kserve.V1beta1InferenceService}


def unknown(document: Any, kind: str, where: str) -> list[str]:
    """Paths that the models don't have; Kubernetes's own kinds are held to the API's schemas elsewhere."""
    inner = re.fullmatch(r"list\[(.+)\]", kind)
    if inner:
        return [line for at, item in enumerate(document) for line in unknown(item, inner[1], f"{where}[{at}]")]
    model = getattr(kserve, kind, None)
    if model is None or not isinstance(document, dict):
        return []
    kinds = {model.attribute_map[name]: of for name, of in model.openapi_types.items()}
    fields = []
    for name, value in document.items():
        path = f"{where}.{name}"
        fields += unknown(value, kinds[name], path) if name in kinds else [path]
    return fields


for document in json.load(sys.stdin):
    for path in unknown(document, KINDS[document["kind"]].__name__, document["kind"]):
        print(path)
