"""`gateway.toml`: what the gateway should do, in the words of its users."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Port = Annotated[int, Meta(ge=1, le=65535)]
Count = Annotated[int, Meta(ge=1)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Seconds = Annotated[float, Meta(gt=0)]
WholeSeconds = Annotated[float, Meta(ge=0, multiple_of=1)]  # nginx counts how old an answer is in these
Host = Annotated[str, Meta(pattern=r"^(\[?[0-9A-Fa-f:.]+\]?|[A-Za-z0-9.-]*)$")]  # an address or a name
Origin = Annotated[str, Meta(pattern=r"^(\*|https?://[A-Za-z0-9.\[\]:-]+)$")]
Network = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$")]


LARGE = 1_000_000  # bytes: by the digits of its length nginx tells a large body


def bracketed(host: str) -> str:
    """An address as URLs and nginx write it (RFC 3986, section 3.2.2)."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file; a misspelt key is an error."""


class Listen(Strict, frozen=True):
    """Where clients come in, and where Prometheus and the console do (on loopback)."""

    host: Host = "127.0.0.1"
    port: Port = 8000
    metrics_port: Port = 9901
    scrape_host: Host = ""  # for a Prometheus elsewhere: counters only, no console; empty: nowhere
    scrape_port: Port = 9902
    threads: Count = 1
    http2: bool = True
    grpc: bool = True  # V2 over gRPC, on the same port; needs http2
    cors: tuple[Origin, ...] = ()  # origins of web pages that may ask; empty: none
    trusted_proxies: tuple[Network, ...] = ()  # whose X-Forwarded-For is believed

    @property
    def near(self) -> str:
        """The host in URLs of clients on this machine."""
        return bracketed({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host))  # noqa: S104 - compared

    @property
    def address(self) -> str:
        """Where nginx listens: `::` takes clients of IPv4 too."""
        return f"{bracketed(self.host)}:{self.port}{' ipv6only=off' if self.host == '::' else ''}"

    @property
    def scrape_address(self) -> str:
        """Where nginx shows the counters to a Prometheus elsewhere."""
        return f"{bracketed(self.scrape_host)}:{self.scrape_port}"


class Limits(Strict, frozen=True):
    """What a client may send and how much may be under way."""

    body_bytes: Count = 8 * 2**20
    bodies_mib: Count = 256  # of large bodies in TorchServe, which holds each several times; more answer 429
    header_kib: Annotated[int, Meta(ge=1, le=96)] = 16
    connections: Count = 4096
    concurrency: Count = 512  # requests of one version under way; more answer 429
    client_percent: Annotated[float, Meta(gt=0, le=100)] = 50.0  # of these, the most for one client
    shadow: Count = 8  # copies under way; more are dropped
    requests_per_second: Annotated[int, Meta(ge=0)] = 0  # of all clients together; 0 is no limit

    @property
    def large_bodies(self) -> int:
        """Bodies of a megabyte and more, as large as any may be, that TorchServe may hold."""
        return max(1, self.bodies_mib * 2**20 // max(LARGE, self.body_bytes))

    @property
    def medium_bodies(self) -> int:
        """Bodies of a tenth of that and more."""
        return max(1, self.bodies_mib * 2**20 // LARGE)


class Deadline(Strict, frozen=True):
    """How long a request may take."""

    answer_s: Seconds = 30.0
    request_s: Seconds = 15.0  # for the header, and between two parts of the body
    idle_s: Seconds = 60.0


class Retry(Strict, frozen=True):
    """Another try for what a version couldn't answer; the budget keeps tries from becoming a storm."""

    tries: Annotated[int, Meta(ge=0, le=3)] = 1
    budget_percent: Percent = 20.0  # of `limits.concurrency`


class Cache(Strict, frozen=True):
    """Answers kept by the digests of body and model; only those with status 200."""

    seconds: WholeSeconds = 0.0  # 0 keeps none
    megabytes: Count = 256
    per_client: bool = False  # no client gets an answer that another one caused


class Brownout(Strict, frozen=True):
    """What is given up when a model is too busy: copies, fresh answers, the larger version; then 429."""

    ladder: bool = True
    seconds: WholeSeconds = 30.0  # how old an answer may be on the second rung


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


class Logs(Strict, frozen=True):
    """How much disk the logs of gateway and server take: each at most `megabytes` times `files`."""

    megabytes: Annotated[float, Meta(gt=0)] = 64.0
    files: Count = 4
    days: Annotated[float, Meta(gt=0)] = 7.0


class Predictions(Strict, frozen=True):
    """Rows and answers that workers keep, as Parquet; 0 percent keeps none."""

    percent: Percent = 0.0
    folder: str = ""  # empty: in the state folder
    megabytes: Annotated[float, Meta(gt=0)] = 256.0  # of one version
    hours: Annotated[float, Meta(gt=0)] = 168.0
    inputs: bool = True
    redact: tuple[str, ...] = ()  # columns whose values are not kept; `text` for texts


class Kubernetes(Strict, frozen=True):
    """Names that `gateway render --kubernetes` needs."""

    gateway: str = "onnxserve"
    kserve: Literal["knative", "standard"] = "knative"  # its deployment mode; only Knative splits traffic by itself
    storage: str = "pvc://models"  # where archives lie, as KServe writes it; on a claim in folders NAME/VERSION
    prometheus: str = "http://prometheus.monitoring:9090"


class GatewayConfig(Strict, frozen=True):
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
    logs: Logs = Logs()
    predictions: Predictions = Predictions()
    kubernetes: Kubernetes = Kubernetes()
    default: dict[str, str] = {}  # the version of a model that serves while nothing else was decided

    @property
    def url(self) -> str:
        """Where clients on this machine come in."""
        return f"{'https' if self.tls.certificate else 'http'}://{self.listen.near}:{self.listen.port}"

    @property
    def guarded(self) -> bool:
        """Whether a request without key or token may be refused or answered with less."""
        return self.auth.required or self.guard != Guard()
