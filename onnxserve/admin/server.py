"""The console's service: HTTP on a unix socket of the run folder, which nginx passes requests of the console to.

A web page elsewhere can't use it. nginx answers under the names of loopback alone, so no name of that page leads here.
A request that changes something needs JSON and a key in a header, which pages of another origin may not send without a
preflight that is never granted; and its Origin must be the console's own. No cookie is read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from onnxserve.errors import GatewayError, OnnxserveError, ReleaseError, ServerError
from onnxserve.gateway.keys import read_keys
from onnxserve.processes.http_socket import RunningServer, SocketHandler, SocketServer, remove_socket
from onnxserve.release import ReleaseService

from .operators import Operator, Refusal, operator_of
from .prediction_sample import prediction_sample
from .steps import AcceptedStep, Step, apply, plan
from .version_page import version_page

MOST_BODY = 65_536  # bytes
JSON = "application/json"
Kind = TypeVar("Kind")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Administration:
    """What the service works with.

    `release` returns the release steps, whose history names its argument. `windows` is the folder of the workers'
    metrics, `predictions` that of the prediction log, None while the log is off.
    """

    keys: Path
    release: Callable[[str], ReleaseService]
    windows: Path
    predictions: Path | None

    def operator(self, headers: Message) -> Operator:
        """Return who sends a request; Refusal unless it has the key of an operator."""
        return operator_of(read_keys(self.keys), headers.get("x-api-key", ""))


class Server(SocketServer):
    """The service's server."""

    administration: Administration


class Handler(SocketHandler):
    """Answers one request with JSON."""

    server: Server

    def do_GET(self) -> None:  # noqa: N802 - http.server calls it
        """Answer a question."""
        self._answer(self._get)

    def do_POST(self) -> None:  # noqa: N802 - http.server calls it
        """Plan or take a release step."""
        self._answer(self._post)

    def _answer(self, respond: Callable[[], Any]) -> None:
        """Send what `respond` returns, or the error that it raises."""
        try:
            status, document = 200, respond()
        except Refusal as error:
            status, document = error.status, error_document(error.kind, error.reason, error.fix)
        except OnnxserveError as error:
            status, document = status_of(error), error_document("refused", error.what, error.fix)
        except Exception:
            log.exception("a request of the console failed")
            status, document = 500, error_document("internal_error", "the service failed; its log says why", "")
        self.send_content(status, JSON, msgspec.json.encode(document))

    def _get(self) -> Any:
        url, administration = urlsplit(self.path), self.server.administration
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        if url.path == "/operator":
            operator = administration.operator(self.headers)
            return {"client": operator.key.client, "models": operator.key.models}
        model, version = query.get("model", ""), query.get("version", "")
        if url.path == "/version":
            archive = administration.release("").archive(model, version)
            logged = administration.predictions is not None
            return {**version_page(archive, administration.windows, model, version), "logged": logged}
        if url.path == "/predictions":
            return self._predictions(model, version)
        raise Refusal(404, "not_found", "there is no such page")

    def _predictions(self, model: str, version: str) -> Any:
        administration = self.server.administration
        administration.operator(self.headers).check_model(model)
        administration.release("").archive(model, version)  # refuses a name that isn't a version's, such as a path
        if administration.predictions is None:
            raise Refusal(404, "not_found", "the prediction log is off", "set [predictions] percent in gateway.toml")
        return {"rows": prediction_sample(administration.predictions, model, version)}

    def _post(self) -> Any:
        body = self._body()  # before any refusal: an answer may be lost if the connection closes with unread bytes
        check_origin(self.headers)
        operator = self.server.administration.operator(self.headers)
        release = self.server.administration.release(operator.name)
        if self.path == "/plan":
            step = parse(body, Step)
            operator.check_model(step.model)
            return plan(release, step)
        if self.path == "/apply":
            accepted = parse(body, AcceptedStep)
            operator.check_model(accepted.step.model)
            return apply(release, accepted)
        raise Refusal(404, "not_found", "there is no such step")

    def _body(self) -> bytes:
        """Read the body; Refusal for one that is too large or doesn't name its length."""
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MOST_BODY:
            raise Refusal(413, "too_large", f"the body must have at most {MOST_BODY} bytes, and its length named")
        return self.rfile.read(int(length))


def parse(body: bytes, kind: type[Kind]) -> Kind:
    """Return the body's document; Refusal if it isn't one of this kind."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise Refusal(400, "malformed_request", f"the body isn't a release step: {error}") from error


def check_origin(headers: Message) -> None:
    """Raise Refusal unless a request that changes something comes from the console, or from no browser at all."""
    if headers.get_content_type() != JSON:
        raise Refusal(415, "unsupported_media_type", f"send {JSON}")
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    if site != "same-origin" or (origin is not None and origin != f"http://{headers.get('host', '')}"):
        raise Refusal(403, "forbidden", "only the console's own page may send this")


def status_of(error: OnnxserveError) -> int:
    """Return the HTTP status of an error: 409 for a refused step, 503 where TorchServe or gateway fail, else 500."""
    if isinstance(error, ReleaseError):
        return 409
    return 503 if isinstance(error, ServerError | GatewayError) else 500


def error_document(kind: str, reason: str, fix: str) -> dict[str, Any]:
    """Return an error in the form of the gateway's."""
    return {"error": {"type": kind, "reason": reason, "where": "console", "fix": fix}}


def start_admin(socket: Path, administration: Administration) -> RunningServer:
    """Serve on `socket` until the returned server is stopped."""
    server = Server(str(remove_socket(socket)), Handler)
    server.administration = administration
    return RunningServer(server, "admin")
