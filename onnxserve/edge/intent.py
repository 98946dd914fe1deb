"""`traffic.toml`: what the edge should do, in the words of its users."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from onnxserve.errors import EdgeError

Port = Annotated[int, Meta(ge=1, le=65535)]
Count = Annotated[int, Meta(ge=1)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Seconds = Annotated[float, Meta(gt=0)]


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file; a misspelt key is an error."""


class Listen(Strict, frozen=True):
    """Where clients come in, and where Prometheus and the console do (on loopback)."""

    host: str = "127.0.0.1"
    port: Port = 8000
    metrics_port: Port = 9901
    scrape_host: str = ""  # for a Prometheus elsewhere: counters only, no console; empty: nowhere
    scrape_port: Port = 9902
    threads: Count = 1
    grpc: bool = False  # V2 over gRPC too, on the same port

    @property
    def near(self) -> str:
        """The host for clients on this machine."""
        return "127.0.0.1" if self.host == "0.0.0.0" else self.host  # noqa: S104 - compared


class Limits(Strict, frozen=True):
    """What a client may send and how much may be under way."""

    body_bytes: Count = 8 * 2**20
    header_kib: Annotated[int, Meta(ge=1, le=96)] = 16
    connections: Count = 1024
    concurrency: Count = 100  # requests of one version under way; more answer 429
    shadow: Count = 8  # copies under way; more are dropped
    requests_per_second: Annotated[int, Meta(ge=0)] = 0  # of all clients together; 0 is no limit


class Deadline(Strict, frozen=True):
    """How long a request may take."""

    answer_s: Seconds = 30.0
    request_s: Seconds = 15.0  # until the client has sent all of it
    idle_s: Seconds = 60.0


class Retry(Strict, frozen=True):
    """Another try for what a version couldn't answer; the budget keeps tries from becoming a storm."""

    tries: Annotated[int, Meta(ge=0, le=3)] = 1
    budget_percent: Percent = 20.0


class Cache(Strict, frozen=True):
    """Answers kept by the digests of body and model; only those with status 200."""

    seconds: Annotated[float, Meta(ge=0)] = 0.0  # 0 keeps none
    megabytes: Count = 256
    per_client: bool = False  # no client gets an answer that another one caused


class Brownout(Strict, frozen=True):
    """What is given up when a model is too busy: copies, fresh answers, the larger version; then 429."""

    ladder: bool = True
    seconds: Seconds = 30.0  # how old an answer may be on the second rung


class Tls(Strict, frozen=True):
    """Encryption; files that are replaced take effect without a restart. Empty: plain HTTP."""

    certificate: str = ""
    key: str = ""
    client_ca: str = ""  # clients must then show a certificate that it signed


class Jwt(Strict, frozen=True):
    """Tokens of an issuer; empty: none are taken."""

    issuer: str = ""
    audiences: tuple[str, ...] = ()
    jwks: str = ""  # a file; it is read again when it is replaced
    claim: str = "sub"  # whose value names the client


class Auth(Strict, frozen=True):
    """Who may ask. `keys` is a file that `onnxserve keys` writes."""

    required: bool = False
    keys: str = "keys.json"
    jwt: Jwt = Jwt()


class Guard(Strict, frozen=True):
    """What every client gets whose key says nothing else; 0 is no limit."""

    per_second: Annotated[float, Meta(ge=0)] = 0.0
    per_day: Annotated[int, Meta(ge=0)] = 0
    digits: Annotated[int, Meta(ge=0, le=9)] = 0  # decimals of scores; 0 leaves them
    top: Annotated[int, Meta(ge=0)] = 0  # labels of an answer that names several
    probing: bool = False  # look for runs of nearly the same body


class Traces(Strict, frozen=True):
    """Where spans go, as OTLP over HTTP; empty: nowhere."""

    endpoint: Annotated[str, Meta(pattern=r"^(|http://[^/:]+:[0-9]+/?)$")] = ""
    percent: Percent = 1.0  # of the requests that bring no decision of their own


class Predictions(Strict, frozen=True):
    """Rows and answers that workers keep, as Parquet; 0 percent keeps none."""

    percent: Percent = 0.0
    folder: str = ""  # empty: in the state folder
    megabytes: Annotated[float, Meta(gt=0)] = 256.0  # of one version
    hours: Annotated[float, Meta(gt=0)] = 168.0
    inputs: bool = True
    redact: tuple[str, ...] = ()  # columns whose values are not kept; `text` for texts


class Kubernetes(Strict, frozen=True):
    """Names that `edge render --kubernetes` needs."""

    gateway: str = "onnxserve"
    storage: str = "pvc://models"  # where archives lie, as KServe writes it
    prometheus: str = "http://prometheus.monitoring:9090"


class Intent(Strict, frozen=True):
    """The whole file; paths in it are relative to its folder."""

    listen: Listen = Listen()
    limits: Limits = Limits()
    deadline: Deadline = Deadline()
    retry: Retry = Retry()
    cache: Cache = Cache()
    brownout: Brownout = Brownout()
    tls: Tls = Tls()
    auth: Auth = Auth()
    guard: Guard = Guard()
    traces: Traces = Traces()
    predictions: Predictions = Predictions()
    kubernetes: Kubernetes = Kubernetes()

    @property
    def url(self) -> str:
        """Where clients on this machine come in."""
        return f"{'https' if self.tls.certificate else 'http'}://{self.listen.near}:{self.listen.port}"


def read_intent(path: Path) -> Intent:
    """The file's content; EdgeError says field, reason and fix."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EdgeError("can't read the traffic file", where=str(path), fix="name one with --traffic") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise EdgeError(f"not valid TOML: {error}", where=str(path)) from error
    try:
        intent = msgspec.convert(document, Intent)
    except msgspec.ValidationError as error:
        raise EdgeError(str(error), where=str(path), fix="docs/55-edge.md explains every field") from error
    if faults := list(_faults(intent)):
        raise EdgeError("; ".join(faults), where=str(path), fix="docs/55-edge.md explains every field")
    return _placed(intent, path.resolve().parent)


def _faults(intent: Intent) -> Iterator[str]:
    tls, jwt = intent.tls, intent.auth.jwt
    if bool(tls.certificate) != bool(tls.key):
        yield "tls needs both certificate and key"
    if tls.client_ca and not tls.certificate:
        yield "tls.client_ca needs a certificate of the server's own"
    if bool(jwt.issuer) != bool(jwt.jwks):
        yield "auth.jwt needs both issuer and jwks"


def _placed(intent: Intent, folder: Path) -> Intent:
    """Absolute paths; EdgeError for a file of TLS or JWT that isn't there."""

    def place(name: str, *, there: bool = True) -> str:
        found = folder / name if name else None
        if there and found and not found.is_file():
            raise EdgeError("there is no such file", where=str(found), fix="traffic.toml names it")
        return str(found) if found else ""

    tls, auth = intent.tls, intent.auth
    replace = msgspec.structs.replace
    tls = Tls(place(tls.certificate), place(tls.key), place(tls.client_ca))
    jwt = replace(auth.jwt, jwks=place(auth.jwt.jwks))
    return replace(intent, tls=tls, auth=replace(auth, keys=place(auth.keys, there=False), jwt=jwt))
