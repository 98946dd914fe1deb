"""`onnxserve predict`, and the one request that `serve` sends to each model."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated, Any

import httpx
import msgspec
import typer

from onnxserve.archive import open_archive
from onnxserve.archive.read import member
from onnxserve.errors import OnnxserveError, ServerError

from .app import AsJson, app, out, show
from .edge import edge_of
from .server import Config, TrafficFile, settings_from

NO_ANSWER = "start the server with `onnxserve serve`; --inference-port asks a TorchServe that has no edge"


def ask(base: str, model: str, body: bytes, headers: dict[str, str], version: str = "", ca: str = "") -> dict[str, Any]:
    """One prediction; ServerError carries the server's reason."""
    path = f"{base}/predictions/{model}" + (f"/{version}" if version else "")
    try:
        trusted = ssl.create_default_context(cafile=ca or None)
        response = httpx.post(path, content=body, headers=headers, timeout=60, trust_env=False, verify=trusted)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise ServerError(f"no answer: {error}", where=path, fix=NO_ANSWER) from error
    try:
        document: dict[str, Any] = response.json()
    except ValueError:
        document = {"message": response.text}
    if response.is_error:
        error_ = document.get("error", {})
        reason = error_.get("reason") or document.get("message") or "no reason given"
        where = f"{path} ({error_['where']})" if error_.get("where") else path
        raise ServerError(f"{response.status_code}: {reason}", where=where, fix=error_.get("fix", ""))
    return document


def golden_body(archive: Path) -> bytes:
    """The first golden row of an archive as a request body."""
    with open_archive(archive) as opened:
        golden = msgspec.json.decode(member(opened, "golden.json"))
    return msgspec.json.encode({"instances": golden["instances"][:1]})


def encode(text: str) -> tuple[bytes, str]:
    """What a person typed: `@file`, JSON, or plain text."""
    if text.startswith("@"):
        path = Path(text[1:])
        if not path.is_file():
            raise OnnxserveError("there is no such file", where=str(path))
        types = {".json": "application/json", ".txt": "text/plain", ".png": "image/png", ".jpg": "image/jpeg"}
        return path.read_bytes(), types.get(path.suffix.lower(), "application/octet-stream")
    if text.lstrip().startswith(("{", "[")):
        return text.encode(), "application/json"
    return text.encode(), "text/plain"


@app.command()
def predict(  # noqa: PLR0913 - each is a flag
    model: Annotated[str, typer.Argument(help="A model's name.")],
    row: Annotated[str, typer.Argument(help="Text, JSON, or @file.")],
    version: Annotated[str, typer.Option(help="A version; the edge's choice if left out.")] = "",
    url: Annotated[str, typer.Option(help="The server; where traffic.toml lets the edge listen, if left out.")] = "",
    key: Annotated[str, typer.Option(envvar="ONNXSERVE_KEY", help="An API key, for an edge that asks for one.")] = "",
    ca: Annotated[str, typer.Option(help="Certificate (PEM) that signed the server's, if no public one did.")] = "",
    traffic: TrafficFile = None,
    config: Config = None,
    inference_port: Annotated[
        int | None, typer.Option(help="Ask TorchServe itself on this port, not the edge.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Ask a running server. Example: onnxserve predict sentiment "good film"."""
    settings = settings_from(config=config, inference_port=inference_port, traffic=traffic)
    base = str(settings.inference) if inference_port else url.rstrip("/") or edge_of(settings).url
    body, content_type = encode(row)
    headers = {"Content-Type": content_type, **({"x-api-key": key} if key else {})}
    answer = ask(base, model, body, headers, version, ca)

    def human() -> None:
        for prediction in answer["predictions"]:
            label = prediction.get("label")
            out.print(f"{label}  {prediction['score']:.4f}" if label else str(prediction.get("values", prediction)))
        out.print(f"[dim]{answer['model']} {answer['version']}[/dim]")

    show(answer, human, as_json=as_json)
