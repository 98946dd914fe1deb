"""The roles as manifests for a cluster: Gateway API routes, KServe services, Argo Rollouts analysis.

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
MILLION = 1_000_000  # the largest weight and denominator in Gateway API
MOST_NAME, MOST_VERSION, DIGITS = 63, 16, 6
PREDICTOR = "-predictor"  # KServe appends it to the name of an InferenceService
REVISION = f"{PREDICTOR}-00001"  # the longest suffix, with Knative


def kubernetes_files(config: GatewayConfig, roles: Roles) -> dict[str, bytes]:
    """Return the manifests by file name."""
    files = {}
    for name, model in sorted(roles.models.items()):
        services = inference_services(config, name, model)
        documents = [http_route(config, name, model), *services, analysis_template(config, name, model)]
        for document in documents:
            file = f"{document['kind'].lower()}-{document['metadata']['name']}.yaml"
            files[file] = yaml.safe_dump(document, sort_keys=False).encode()
    return files


def manifest(version: str, kind: str, metadata: Document, spec: Document) -> Document:
    """Return a Kubernetes document."""
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def dns_label(name: str, version: str = "", most: int = MOST_NAME) -> str:
    """Return a valid Kubernetes name, unique to the model (RFC 1035: lower case, digits, dashes, at most 63)."""
    tail = f"-{version.replace('.', '-')}" if version else ""
    if not re.fullmatch("[0-9.]*", version):
        tail = f"-{slug(version)[:MOST_VERSION].strip('-')}-{digest(version)}"
    # A name that ends in a number could collide with another model's version: `a-1` 0.0 and `a` 1.0.0.
    ambiguous = version and re.search("-[0-9]+$", name)
    if ambiguous or not re.fullmatch("[a-z]([a-z0-9-]*[a-z0-9])?", name) or len(name + tail) > most:
        tail = f"-{digest(name)}{tail}"
        name = f"m-{slug(name)}"[: most - len(tail)].rstrip("-")
    return name + tail


def slug(text: str) -> str:
    """Return the text in lower case, with a dash for each run of other characters."""
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")


def digest(text: str) -> str:
    """Return a short digest that tells similar texts apart."""
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def service_name(name: str, version: str = "") -> str:
    """Return the name of an InferenceService, short enough for the suffixes that KServe appends."""
    return dns_label(name, version, MOST_NAME - len(REVISION))


def backend(config: GatewayConfig, name: str, version: str) -> Document:
    """Return the Service of one version: ours, or that of its own InferenceService's predictor."""
    if config.kubernetes.kserve == "standard":
        return {"name": f"{service_name(name, version)}{PREDICTOR}", "port": 80}
    return {"name": dns_label(name, version), "port": config.listen.port}


def http_route(config: GatewayConfig, name: str, model: Model) -> Document:
    """Return the route of a model: shares as weights, the shadow as a mirror."""
    shares = {model.stable: MILLION}
    if model.canary:
        weight = millionths(model.canary.percent)
        shares = {model.stable: MILLION - weight, model.canary.version: weight}
    rule: Document = {
        "matches": [
            {"path": {"type": "Exact", "value": path}, "method": "POST"}
            for path in (f"/predictions/{name}", f"/v2/models/{name}/infer", f"/v1/models/{name}:predict")
        ],
        "backendRefs": [{**backend(config, name, version), "weight": weight} for version, weight in shares.items()],
        "timeouts": {"request": duration(config.deadline.answer_s)},
    }
    if model.shadow:
        fraction = {"numerator": millionths(model.shadow.percent), "denominator": MILLION}
        copy = {"backendRef": backend(config, name, model.shadow.version), "fraction": fraction}
        rule["filters"] = [{"type": "RequestMirror", "requestMirror": copy}]
    spec = {"parentRefs": [{"name": config.kubernetes.gateway}], "rules": [rule]}
    return manifest("gateway.networking.k8s.io/v1", "HTTPRoute", {"name": dns_label(name)}, spec)


def millionths(percent: float) -> int:
    """Return a percentage in millionths; only 0 and 100 % leave one side without requests."""
    least, most = int(percent > 0), MILLION - int(percent < 100)
    return min(most, max(least, round(percent * MILLION / 100)))


def duration(seconds: float) -> str:
    """Return a duration in Gateway API's format, at most five digits per unit (GEP-2257)."""
    whole, rest = divmod(round(seconds * 1000), 1000)
    return (f"{whole}s" if whole else "") + (f"{rest}ms" if rest else "")


def inference_services(config: GatewayConfig, name: str, model: Model) -> list[Document]:
    """Return the InferenceServices of a model.

    With Knative there is one; its newest archive gets a whole percentage, the one before gets the rest. KServe's
    Standard mode ignores that field and would send everything to the newest archive. There each version with requests
    is a service of its own, and the route splits the traffic.
    """
    if config.kubernetes.kserve == "standard":
        others = [share.version for share in (model.canary, model.shadow) if share]
        versions = dict.fromkeys([model.stable, *others])
        return [inference_service(config, name, version, service_name(name, version), {}) for version in versions]
    version, traffic = (model.canary.version if model.canary else model.stable), {}
    if model.canary and model.canary.percent > 0:
        traffic = {"canaryTrafficPercent": min(99, max(1, round(model.canary.percent)))}
    return [inference_service(config, name, version, service_name(name), traffic)]


def inference_service(config: GatewayConfig, name: str, version: str, service: str, traffic: Document) -> Document:
    """Return the InferenceService of one archive; on a claim, which is mounted, the archive lies in its own folder."""
    storage, mode = config.kubernetes.storage.rstrip("/"), config.kubernetes.kserve.capitalize()
    claim = storage.startswith("pvc://")
    model = {
        "modelFormat": {"name": "onnxserve"},
        "protocolVersion": "v2",
        "storageUri": f"{storage}/{name}/{version}" if claim else f"{storage}/{name}-{version}.mar",
    }
    metadata = {"name": service, "annotations": {"serving.kserve.io/deploymentMode": mode}}
    spec = {"predictor": {**traffic, "model": model}}
    return manifest("serving.kserve.io/v1beta1", "InferenceService", metadata, spec)


def analysis_template(config: GatewayConfig, name: str, model: Model) -> Document:
    """Return the analysis of a Rollout: failures and p99 of its version, from the gateways' counters in Prometheus."""
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
    return manifest("argoproj.io/v1alpha1", "AnalysisTemplate", {"name": dns_label(name)}, spec)
