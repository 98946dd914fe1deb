"""The same roles for a cluster: Gateway API routes, KServe's services, Argo Rollouts' analysis.

Sources: https://gateway-api.sigs.k8s.io/reference/spec/ (v1.3), https://kserve.github.io/website/ (v1beta1),
https://argo-rollouts.readthedocs.io/en/stable/features/analysis/ (v1alpha1).
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import yaml

from .config import GatewayConfig
from .roles import Model, Roles

Document = dict[str, Any]
MILLION = 1_000_000  # the most that a weight and a denominator of Gateway API may be
MOST_NAME, MOST_VERSION, DIGITS = 63, 16, 6
PREDICTOR = "-predictor"  # behind the name of an InferenceService, in the names of what KServe makes of it
REVISION = f"{PREDICTOR}-00001"  # with Knative


def kubernetes_files(config: GatewayConfig, roles: Roles) -> dict[str, bytes]:
    """Manifests by file name."""
    found = {}
    for name, model in sorted(roles.models.items()):
        services = inference_services(config, name, model)
        documents = [http_route(config, name, model), *services, analysis_template(config, name, model)]
        for document in documents:
            file = f"{document['kind'].lower()}-{document['metadata']['name']}.yaml"
            found[file] = yaml.safe_dump(document, sort_keys=False).encode()
    return found


def manifest(version: str, kind: str, metadata: Document, spec: Document) -> Document:
    """A document as Kubernetes wants it."""
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def dns(name: str, version: str = "", most: int = MOST_NAME) -> str:
    """A name that Kubernetes takes (RFC 1035: lower case, digits, dashes, at most 63), another one for each model."""
    tail = f"-{version.replace('.', '-')}" if version else ""
    if not re.fullmatch("[0-9.]*", version):
        tail = f"-{plain(version)[:MOST_VERSION].strip('-')}-{digest(version)}"
    # A name that ends like a version would be read as another name's version: `a-1` 0.0 and `a` 1.0.0.
    ambiguous = version and re.search("-[0-9]+$", name)
    if ambiguous or not re.fullmatch("[a-z]([a-z0-9-]*[a-z0-9])?", name) or len(name + tail) > most:
        tail = f"-{digest(name)}{tail}"
        name = f"m-{plain(name)}"[: most - len(tail)].rstrip("-")
    return name + tail


def plain(text: str) -> str:
    """Lower case, digits, and dashes for all else."""
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")


def digest(text: str) -> str:
    """What tells texts apart that look alike."""
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def service_name(name: str, version: str = "") -> str:
    """Of an InferenceService: with what KServe appends to it, it is still a name that Kubernetes takes."""
    return dns(name, version, MOST_NAME - len(REVISION))


def backend(config: GatewayConfig, name: str, version: str) -> Document:
    """The Service of one version: ours, or the predictor's of an InferenceService of its own."""
    if config.kubernetes.kserve == "standard":
        return {"name": f"{service_name(name, version)}{PREDICTOR}", "port": 80}
    return {"name": dns(name, version), "port": config.listen.port}


def http_route(config: GatewayConfig, name: str, model: Model) -> Document:
    """Shares as weights, the shadow as a mirror."""
    shares = {model.stable: MILLION}
    if model.canary:
        weight = millionths(model.canary.percent)
        shares = {model.stable: MILLION - weight, model.canary.version: weight}
    rule: Document = {
        "matches": [
            {"path": {"type": "Exact", "value": path}, "method": "POST"}
            for path in (f"/predictions/{name}", f"/v2/models/{name}/infer", f"/v1/models/{name}:predict")
        ],
        "backendRefs": [{**backend(config, name, one), "weight": weight} for one, weight in shares.items()],
        "timeouts": {"request": duration(config.deadline.answer_s)},
    }
    if model.shadow:
        fraction = {"numerator": millionths(model.shadow.percent), "denominator": MILLION}
        copy = {"backendRef": backend(config, name, model.shadow.version), "fraction": fraction}
        rule["filters"] = [{"type": "RequestMirror", "requestMirror": copy}]
    spec = {"parentRefs": [{"name": config.kubernetes.gateway}], "rules": [rule]}
    return manifest("gateway.networking.k8s.io/v1", "HTTPRoute", {"name": dns(name)}, spec)


def millionths(percent: float) -> int:
    """A share as Gateway API takes it; only 0 and 100 % leave one side without any."""
    least, most = int(percent > 0), MILLION - int(percent < 100)
    return min(most, max(least, round(percent * MILLION / 100)))


def duration(seconds: float) -> str:
    """As Gateway API writes it, at most five digits a unit: https://gateway-api.sigs.k8s.io/geps/gep-2257/."""
    whole, rest = divmod(round(seconds * 1000), 1000)
    return (f"{whole}s" if whole else "") + (f"{rest}ms" if rest else "")


def inference_services(config: GatewayConfig, name: str, model: Model) -> list[Document]:
    """With Knative one, whose newest archive gets a percentage and the one before the rest, in whole percents.

    KServe's Standard mode ignores that field and would give the newest all: there each version that gets requests is
    a service of its own, and the route splits.
    """
    if config.kubernetes.kserve == "standard":
        others = [share.version for share in (model.canary, model.shadow) if share]
        versions = dict.fromkeys([model.stable, *others])
        return [inference_service(config, name, version, service_name(name, version), {}) for version in versions]
    version, part = (model.canary.version if model.canary else model.stable), {}
    if model.canary and model.canary.percent > 0:
        part = {"canaryTrafficPercent": min(99, max(1, round(model.canary.percent)))}
    return [inference_service(config, name, version, service_name(name), part)]


def inference_service(config: GatewayConfig, name: str, version: str, called: str, part: Document) -> Document:
    """One archive; a claim is mounted as a folder, so there the archive lies in one of its own."""
    storage, mode = config.kubernetes.storage.rstrip("/"), config.kubernetes.kserve.capitalize()
    claim = storage.startswith("pvc://")
    served = {
        "modelFormat": {"name": "onnxserve"},
        "protocolVersion": "v2",
        "storageUri": f"{storage}/{name}/{version}" if claim else f"{storage}/{name}-{version}.mar",
    }
    metadata = {"name": called, "annotations": {"serving.kserve.io/deploymentMode": mode}}
    spec = {"predictor": {**part, "model": served}}
    return manifest("serving.kserve.io/v1beta1", "InferenceService", metadata, spec)


def analysis_template(config: GatewayConfig, name: str, model: Model) -> Document:
    """What a Rollout asks Prometheus of the gateways' counters: failures and p99 of the version that it brings."""
    chosen = f'model="{name}",version="{{{{args.version}}}}"'
    total = f"onnxserve_gateway_requests_total{{{chosen}}}"
    failed = f'onnxserve_gateway_requests_total{{{chosen},code=~"5.."}}'
    bucket = f"onnxserve_gateway_request_seconds_bucket{{{chosen}}}"
    failures = f"(sum(rate({failed}[1m])) or vector(0)) / sum(rate({total}[1m]))"
    p99 = f"histogram_quantile(0.99, sum(rate({bucket}[1m])) by (le))"
    metrics = [
        {
            "name": metric,
            "interval": "1m",
            "count": 5,
            "failureLimit": 1,
            "successCondition": f"result[0] < {most:g}",
            "provider": {"prometheus": {"address": config.kubernetes.prometheus, "query": query}},
        }
        for metric, query, most in (("failures", failures, 0.01), ("p99-seconds", p99, config.deadline.answer_s))
    ]
    version = model.canary.version if model.canary else model.stable
    spec = {"args": [{"name": "version", "value": version}], "metrics": metrics}
    return manifest("argoproj.io/v1alpha1", "AnalysisTemplate", {"name": dns(name)}, spec)
