"""`onnxserve predict`, and the one request that `serve` sends to each model."""

from __future__ import annotations

from mimetypes import guess_type
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from onnxserve.archive import open_archive
from onnxserve.archive.read import member
from onnxserve.client import Address, parse_address
from onnxserve.client.certificates import trust
from onnxserve.errors import OnnxserveError, ServerError

from .console import AsJson, out, show
from .gateway import config_of
from .groups import root
from .server import Ca, Config, GatewayFile, Key, State, Token, Url, settings_from

ANSWER_S = 60.0
NO_ANSWER = (
    "start the server with `onnxserve serve`; name a server at another address with --url; "
    "--direct asks TorchServe without a gateway"
)


def ask(  # noqa: PLR0913 - all but four are optional
    address: Address,
    model: str,
    body: bytes,
    headers: dict[str, str],
    version: str = "",
    *,
    ca: str = "",
    timeout_s: float = ANSWER_S,
) -> dict[str, Any]:
    """Ask for one prediction; ServerError carries the server's reason."""
    import httpx  # here for a quick start, as in `Address`

    path = f"/predictions/{model}" + (f"/{version}" if version else "")
    transport = address.transport(verify=trust(ca))
    try:
        with httpx.Client(transport=transport, base_url=address.url, timeout=timeout_s, trust_env=False) as client:
            response = client.post(path, content=body, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise ServerError(f"no answer: {error}", where=f"{address}{path}", fix=NO_ANSWER) from error
    try:
        document: dict[str, Any] = msgspec.json.decode(response.content, type=dict[str, Any])
    except msgspec.DecodeError:
        document = {"message": response.text}  # a handler that isn't of onnxserve may answer anything
    if response.is_error:
        error_ = document.get("error", {})
        reason = error_.get("reason") or document.get("message") or "no reason given"
        where = f"{address}{path}" + (f" ({error_['where']})" if error_.get("where") else "")
        raise ServerError(f"{response.status_code}: {reason}", where=where, fix=error_.get("fix", ""))
    return document


def ask_row(
    address: Address, model: str, row: str, headers: dict[str, str], version: str, *, ca: str
) -> dict[str, Any]:
    """Ask for the prediction of what a person typed; ServerError says how a file is sent, where they typed its path."""
    body, content_type = encode(row)
    try:
        return ask(address, model, body, {"Content-Type": content_type, **headers}, version, ca=ca)
    except ServerError as error:
        if content_type == "text/plain" and is_file(row):
            raise ServerError(error.what, where=error.where, fix=f"write @{row} to send the file itself") from error
        raise


def is_file(text: str) -> bool:
    """Return whether a text is the path of a file, which no long text can be."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def golden_body(archive: Path) -> bytes:
    """Return the first golden row of an archive as a request body; a table's has the names of its columns."""
    with open_archive(archive) as opened:
        golden = msgspec.json.decode(member(opened, "golden.json"))
        signature = msgspec.json.decode(member(opened, "signature.json"))
    return msgspec.json.encode({"instances": [named_row(row, signature) for row in golden["instances"][:1]]})


def named_row(row: Any, signature: dict[str, Any]) -> Any:
    """Return a table's row by the names of its columns, which tells more; other rows, and a user's own, as they are."""
    columns = signature.get("input", {}).get("columns", ())
    is_own = signature.get("handler") or signature.get("features")
    if is_own or not isinstance(row, list) or len(row) != len(columns):
        return row
    names = [each if isinstance(each, str) else each["name"] for each in columns]
    return dict(zip(names, row, strict=True))


def encode(text: str) -> tuple[bytes, str]:
    """Return body and content type of what a person typed: `@file`, JSON, or plain text."""
    if text.startswith("@"):
        path = Path(text[1:])
        if not path.is_file():
            raise OnnxserveError("there is no such file", where=str(path), fix="write @ and the path of a file")
        return path.read_bytes(), guess_type(path, strict=False)[0] or "application/octet-stream"
    if text.lstrip().startswith(("{", "[")):
        return text.encode(), "application/json"
    return text.encode(), "text/plain"


@root.command()
def predict(  # noqa: PLR0913 - each is a flag
    model: Annotated[str, typer.Argument(help="The model's name.")],
    row: Annotated[str, typer.Argument(help="The row: text, JSON, or @ and the path of a file.")],
    version: Annotated[str, typer.Option(help="The version, such as 1.1.0; default: the gateway chooses.")] = "",
    url: Url = "",
    key: Key = "",
    token: Token = "",
    ca: Ca = "",
    gateway_file: GatewayFile = None,
    config: Config = None,
    state: State = None,
    inference_port: Annotated[
        int | None, typer.Option(help="TCP port of a plain TorchServe to ask; default: the gateway is asked.")
    ] = None,
    *,
    direct: Annotated[bool, typer.Option("--direct", help="Ask TorchServe itself instead of the gateway.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send one row to a running server and print the prediction.

    Example: onnxserve predict sentiment "good film"
    """
    settings = settings_from(config=config, inference_port=inference_port, gateway_file=gateway_file, state=state)
    direct = direct or bool(inference_port)
    address = settings.inference if direct else parse_address(url or config_of(settings).url)
    bearer = {"authorization": f"Bearer {token}"} if token else {}
    answer = ask_row(address, model, row, {"x-api-key": key} if key else bearer, version, ca=ca)

    def human() -> None:
        if "predictions" not in answer:
            out.print(answer.get("message", answer), markup=False)
            return
        for prediction in answer["predictions"]:
            label = prediction.get("label")
            out.print(f"{label}  {prediction['score']:.4f}" if label else str(prediction.get("values", prediction)))
        out.print(f"[dim]{answer['model']} {answer['version']}[/dim]")

    show(answer, human, as_json=as_json)
