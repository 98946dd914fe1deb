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


def bracket_host(host: str) -> str:
    """Return an address as URLs and nginx write it (RFC 3986, section 3.2.2)."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file; a misspelt key is an error."""


class Listen(Strict, frozen=True):
    """Where clients come in, and where Prometheus and the console do (on loopback)."""

    host: Host = "127.0.0.1"
    """The address that clients connect to; 0.0.0.0 for all interfaces."""
    port: Port = 8000
    """The TCP port that clients connect to."""
    metrics_port: Port = 9901
    """The TCP port of the counters and the console, always on loopback."""
    scrape_host: Host = ""
    """The address that shows the counters, and nothing else, to a Prometheus elsewhere; empty for none."""
    scrape_port: Port = 9902
    """The TCP port on `scrape_host`."""
    threads: Count = 1
    """Worker processes of nginx [processes]."""
    http2: bool = True
    """Offer HTTP/2, with and without TLS."""
    grpc: bool = True
    """Offer the V2 protocol over gRPC on the same port; needs `http2`."""
    cors: tuple[Origin, ...] = ()
    """Origins of web pages that may send requests; `["*"]` for all, empty for none."""
    trusted_proxies: tuple[Network, ...] = ()
    """Networks of proxies whose X-Forwarded-For is believed."""

    @property
    def near(self) -> str:
        """The host in URLs of clients on this machine."""
        return bracket_host({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host))  # noqa: S104 - compared

    @property
    def address(self) -> str:
        """Where nginx listens: `::` takes clients of IPv4 too."""
        return f"{bracket_host(self.host)}:{self.port}{' ipv6only=off' if self.host == '::' else ''}"

    @property
    def scrape_address(self) -> str:
        """Where nginx shows the counters to a Prometheus elsewhere."""
        return f"{bracket_host(self.scrape_host)}:{self.scrape_port}"


class Limits(Strict, frozen=True):
    """What a client may send and how much may be under way."""

    body_bytes: Count = 8 * 2**20
    """Largest body of a request [bytes]; TorchServe has a limit of its own, `max_request_size`."""
    bodies_mib: Count = 256
    """Bodies of 100 kB and more that TorchServe may hold at a time, of all clients and versions [MiB].

    It holds each several times: raise `-Xmx` in config.properties with it. More are refused with 429.
    """
    header_kib: Annotated[int, Meta(ge=1, le=96)] = 16
    """Longest header field [KiB]; a request may have four that long, and at most 100 fields."""
    connections: Count = 4096
    """Most connections of clients for each process of nginx [connections]; more are closed."""
    concurrency: Count = 512
    """Most requests of one version under way [requests]; more are refused with 429."""
    client_percent: Annotated[float, Meta(gt=0, le=100)] = 50.0
    """Most of `concurrency` for one client [percent]."""
    shadow: Count = 8
    """Most copies for shadows under way [requests]; more are dropped."""
    requests_per_second: Annotated[int, Meta(ge=0)] = 0
    """Most requests of all clients together [requests/s]; 0 for no limit."""

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
    """Time for a version to answer; a second try gets as long again [s]."""
    request_s: Seconds = 15.0
    """Time for the header of a request, and between two reads of its body [s]."""
    idle_s: Seconds = 60.0
    """Time that a connection may be without a request, or take no bytes of an answer [s]."""


class Retry(Strict, frozen=True):
    """Another try for what a version couldn't answer; the budget keeps tries from becoming a storm."""

    tries: Annotated[int, Meta(ge=0, le=3)] = 1
    """More tries on the same version, from 0 to 3; the fallback version comes after them [tries]."""
    budget_percent: Percent = 20.0
    """Most second tries under way, as a share of `limits.concurrency` [percent]."""


class Cache(Strict, frozen=True):
    """Answers kept by the digests of body and model; only those with status 200."""

    seconds: WholeSeconds = 0.0
    """Age up to which an answer is used again [s]; 0 keeps no answers."""
    megabytes: Count = 256
    """Disk for kept answers [MiB]."""
    per_client: bool = False
    """Give no client an answer that another client caused."""


class Brownout(Strict, frozen=True):
    """What is given up when a model is too busy: copies, fresh answers, the larger version; then 429."""

    ladder: bool = True
    """Give up copies, fresh answers and the larger version, in this order, before requests are refused."""
    seconds: WholeSeconds = 30.0
    """Age up to which an answer is used again on the second step of the ladder [s]."""


class Tls(Strict, frozen=True):
    """Encryption; files that are replaced take effect without a restart. Empty: plain HTTP."""

    certificate: str = ""
    """File of the server's certificate chain, PEM; empty for plain HTTP."""
    key: str = ""
    """File of the certificate's private key, PEM."""
    client_ca: str = ""
    """File of a CA; clients must show a certificate that it signed. Empty for none."""


class Jwt(Strict, frozen=True):
    """Tokens of an issuer; empty: none are taken."""

    issuer: str = ""
    """The `iss` of tokens; empty takes no tokens."""
    audiences: tuple[str, ...] = ()
    """Allowed values of `aud`; empty for any."""
    jwks: str = ""
    """File of the issuer's public keys; it is read again when it is replaced."""
    claim: str = "sub"
    """The claim that names the client."""


class Auth(Strict, frozen=True):
    """Who may ask. `keys` is a file that `onnxserve keys` writes."""

    required: bool = False
    """Refuse requests that have neither a key nor a token."""
    keys: str = "keys.json"
    """File of the clients' keys, which `onnxserve keys` writes."""
    jwt: Jwt = Jwt()
    """Tokens of an issuer."""


class Guard(Strict, frozen=True):
    """What every client gets whose key says nothing else; 0 is no limit."""

    per_second: Annotated[float, Meta(ge=0)] = 0.0
    """Most requests of a client [requests/s]; 0 for no limit."""
    per_day: Annotated[int, Meta(ge=0)] = 0
    """Most requests of a client in a day of UTC [requests]; 0 for no limit."""
    digits: Annotated[int, Meta(ge=0, le=9)] = 0
    """Decimals of scores in answers [digits]; 0 leaves scores as they are."""
    top: Annotated[int, Meta(ge=0)] = 0
    """Most labels in an answer that names several [labels]; 0 for all."""
    probing: bool = False
    """Look for runs of nearly equal bodies, which copy a model's decisions."""


class Traces(Strict, frozen=True):
    """Where spans go, as OTLP over HTTP; empty: nowhere."""

    endpoint: Annotated[str, Meta(pattern=r"^(|http://[^/:]+:[0-9]+/?)$")] = ""
    """URL `http://host:port` of an OTLP collector; empty for no spans."""
    percent: Percent = 1.0
    """Sampled share of the requests that bring no decision of their own [percent]."""


class Logs(Strict, frozen=True):
    """How much disk the logs of gateway and server take: each at most `megabytes` times `files`."""

    megabytes: Annotated[float, Meta(gt=0)] = 64.0
    """Size at which a log file is rotated [MiB]."""
    files: Count = 4
    """Old files of each log that are kept [files]."""
    days: Annotated[float, Meta(gt=0)] = 7.0
    """Age at which old files are deleted [days]."""


class Predictions(Strict, frozen=True):
    """Rows and answers that workers keep, as Parquet; 0 percent keeps none."""

    percent: Percent = 0.0
    """Share of the requests whose rows and answers are kept [percent]; 0 keeps none."""
    folder: str = ""
    """Folder of the prediction log; empty for `predictions` in the state folder."""
    megabytes: Annotated[float, Meta(gt=0)] = 256.0
    """Disk for the log of one version [MiB]."""
    hours: Annotated[float, Meta(gt=0)] = 168.0
    """Age at which entries are deleted [h]."""
    inputs: bool = True
    """Keep the rows beside the answers."""
    redact: tuple[str, ...] = ()
    """Columns whose values are not kept; `text` for texts."""


class Kubernetes(Strict, frozen=True):
    """Names that `gateway render --kubernetes` needs."""

    gateway: str = "onnxserve"
    """Name of the Gateway that routes belong to."""
    kserve: Literal["knative", "standard"] = "knative"
    """KServe's deployment mode; only Knative splits traffic by itself."""
    storage: str = "pvc://models"
    """Where archives lie, as KServe writes it; on a claim they lie in folders NAME/VERSION."""
    prometheus: str = "http://prometheus.monitoring:9090"
    """URL of the Prometheus that analyses ask."""


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
    default: dict[str, str] = {}
    """The version of each model that serves while nothing else was decided, by the model's name."""

    @property
    def url(self) -> str:
        """Where clients on this machine come in."""
        return f"{'https' if self.tls.certificate else 'http'}://{self.listen.near}:{self.listen.port}"

    @property
    def limits_anonymous(self) -> bool:
        """Whether a request without key or token may be refused or answered with less."""
        return self.auth.required or self.guard != Guard()
