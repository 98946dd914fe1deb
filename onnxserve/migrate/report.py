"""What runs unchanged on our worker behind our gateway, what needs something first, what differs, and what fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from onnxserve.paths import resource

from .code import HANDLERS, Code, missing, read_code, source_of
from .stock import StockArchive, read_config
from .weights import Weights, weights_kind

Verdict = Literal["runs", "needs", "differs", "fails"]
METRICS = "torchserve/metrics.yaml"
# Names on the package registry of modules that are imported by another name.
PACKAGES = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
    "ts": "torchserve",
}
# Keys of a configuration that only TorchServe's own worker or its start program carries out.
FOREIGN_KEYS = {
    "asyncCommunication": "our worker has no asynchronous protocol",
    "parallelType": "a model that is split over devices needs TorchServe's own worker",
    "torchrun": "a model that is split over devices needs TorchServe's own worker",
    "useVenv": "the server installs nothing, so that what runs is what was tested",
}
BARE = "base_handler"  # makes a tensor of a decoded request, so that a raw body fails
ENVELOPE = "the old server's `service_envelope`: --envelope body, or json"
BINARY = (".so", ".pyd", ".pyc", ".whl")


@dataclass(frozen=True)
class Finding:
    """One line of the report: `runs` as it did, `needs` something first, `differs` for its clients, or `fails`."""

    verdict: Verdict
    subject: str
    text: str


def report(stock: StockArchive) -> list[Finding]:
    """Return everything that is known about an archive from its bytes alone, in the order of verdicts."""
    code = code_of(stock)
    findings = [*_handler(stock, code), *_weights(stock), *_packages(stock, code), *_configuration(stock)]
    findings += [*_metrics(code), *_extras(stock), *_gateway(stock)]
    order: tuple[Verdict, ...] = ("fails", "needs", "differs", "runs")
    return sorted(findings, key=lambda finding: order.index(finding.verdict))


def code_of(stock: StockArchive) -> Code:
    """Read the handler, a built-in one too, and the model's module."""
    handler = stock.handler_file
    modules = [handler.removesuffix(".py").replace("/", ".") if handler else f"{HANDLERS}.{stock.model.handler}"]
    if stock.model.model_file:
        modules.append(stock.model.model_file.removesuffix(".py"))
    if stock.model.envelope:
        modules.append(f"{HANDLERS}.request_envelope.{stock.model.envelope}")
    return read_code(stock.members, *modules)


def _handler(stock: StockArchive, code: Code) -> Iterator[Finding]:
    name = stock.model.handler
    if name == BARE and not stock.model.envelope:
        yield Finding("needs", name, f"it takes rows that an envelope has unpacked, {ENVELOPE}")
    if stock.handler_file:
        yield Finding(
            "runs", name, "the archive's own handler: initialize, handle, context and metrics as on TorchServe"
        )
    elif source_of(stock.members, f"{HANDLERS}.{name}") is not None:
        yield Finding("runs", name, "TorchServe's own handler, from the installed package torchserve")
    else:
        yield Finding("fails", name, "the archive has no such handler, and the installed TorchServe hasn't one either")
    yield from (Finding("fails", "code", f"this Python can't read {fault}") for fault in code.faults)


def _weights(stock: StockArchive) -> Iterator[Finding]:
    for name in (stock.model.serialized_file, stock.model.model_file):
        if name and name not in stock.members:
            yield Finding("fails", name, "the manifest names it, and the archive doesn't have it")
    name = stock.model.serialized_file
    if not name or name not in stock.members:
        return
    kind = weights_kind(name, stock.members[name])
    if kind is Weights.library:
        yield Finding("needs", name, "a compiled library: the CPU and torch version that it was compiled for")
    elif kind is Weights.state_dict and not stock.model.model_file and not stock.handler_file:
        yield Finding("fails", name, "a state dict without the module that it belongs to (--model-file)")
    else:
        known = "" if kind is Weights.unknown else f"{kind}, "
        yield Finding("runs", name, f"{known}as the handler loads it")


def _packages(stock: StockArchive, code: Code) -> Iterator[Finding]:
    for module, place in missing(code, stock.members).items():
        package = PACKAGES.get(module, module)
        yield Finding("needs", module, f"{place} imports it, and it isn't installed here: pip install {package}")
    if name := stock.model.requirements_file:
        text = stock.members.get(name, b"").decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
        listed = ", ".join(lines) or "nothing"
        yield Finding("needs", name, f"the server installs nothing; install it beside TorchServe yourself: {listed}")


def _configuration(stock: StockArchive) -> Iterator[Finding]:
    config = read_config(stock)
    if not config:
        yield Finding("runs", "configuration", "TorchServe's defaults: one worker, batches of one request")
        return
    known = {key: value for key, value in config.items() if key in FOREIGN_KEYS and value}
    yield from (Finding("differs", key, FOREIGN_KEYS[key]) for key in known)
    yield Finding("runs", str(stock.model.config_file), _settings(config))


def _settings(config: Mapping[str, Any]) -> str:
    names = ("minWorkers", "maxWorkers", "batchSize", "maxBatchDelay", "responseTimeout")
    settings = ", ".join(f"{name} {config[name]}" for name in names if name in config)
    return f"as it is: {settings}" if settings else "as it is"


def _metrics(code: Code) -> Iterator[Finding]:
    declared = yaml.safe_load(resource(METRICS).read_bytes())["model_metrics"]
    known = {entry["name"] for entries in declared.values() for entry in entries}
    if undeclared := sorted(set(code.metrics) - known):
        text = f"TorchServe drops metrics that {METRICS} doesn't declare; add them there: {', '.join(undeclared)}"
        yield Finding("needs", "metrics", text)


def _extras(stock: StockArchive) -> Iterator[Finding]:
    named = {stock.handler_file, stock.model.serialized_file, stock.model.model_file, stock.model.config_file}
    extras = sorted(stock.members.keys() - named - {stock.model.requirements_file})
    if extras:
        yield Finding("runs", "extra files", f"in the model's folder as before: {', '.join(extras)}")
    compiled = [name for name in extras if name.endswith(BINARY)]
    if compiled:
        text = (
            f"compiled for one Python and one kind of machine; check that they are this server's: {', '.join(compiled)}"
        )
        yield Finding("needs", "compiled files", text)
    if stock.dropped:
        yield Finding("differs", "dropped", f"they lie outside the model's folder: {', '.join(stock.dropped)}")


def _gateway(stock: StockArchive) -> Iterator[Finding]:
    yield Finding("runs", "/predictions/" + stock.name, "bodies and answers pass unchanged; JSON and text are decoded")
    yield Finding("runs", "gateway", "keys, limits, deadlines, roles, canaries, cache and counters, as for every model")
    yield Finding(
        "differs", "input", "unknown: no check of rows, no metadata, no form in the console, no batch scoring"
    )
    yield Finding("differs", "errors", "what the handler raises answers 500 for all requests of that batch")
    yield Finding("differs", "requests", "query parameters and the path /explanations don't reach the handler")
    yield Finding("differs", "limited keys", "a key with `digits` or `top` gets 403: its answers can't be shortened")
    yield Finding("differs", "canaries", "an automatic canary compares failures and latency, not labels")
    yield Finding("differs", "proof", "none: the version is marked unproven")
