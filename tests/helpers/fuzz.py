"""Requests as bytes, from a seed: well-framed ones that may hold anything, and ones whose frame is broken."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.helpers.http2 import DATA, END_HEADERS, END_STREAM, HEADERS, encoded, frame

METHODS = ("POST",) * 12 + ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "X", "post")
MODELS = ("demo",) * 6 + ("nobody", "d%65mo", "demo%00", "..", "a" * 300, "%ff", "demo;x", "ünï", "*", "demo@1.0")
VERSIONS = ("",) * 4 + ("1.0", "2.0", "9", "..", "*", "%2e%2e", "1.0%0a")
PATTERNS = (
    "/predictions/{model}", "/predictions/{model}/{version}", "/v2/models/{model}/infer", "/v2/models/{model}/ready",
    "/v2/models/{model}/versions/{version}/infer", "/v1/models/{model}:predict", "/v2/models/{model}", "/openapi.json",
    "/inference.GRPCInferenceService/ModelInfer", "/inference.GRPCInferenceService/{model}", "/v2", "/v2/health/ready",
    "/-/{model}", "/models/{model}", "/{model}/{version}", "//{model}//", "/%2e%2e/{model}", "/x?{model}={version}",
)  # fmt: skip
TYPES = (
    "application/json", "application/octet-stream", "application/x-npy", "image/png", "multipart/form-data",
    "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "application/grpc",
    "\x7f", "",
)  # fmt: skip
NAMES = (
    "x-request-id", "traceparent", "x-api-key", "authorization", "x-onnxserve-client", "x-onnxserve-priority", "origin",
    "accept", "accept-encoding", "content-encoding", "inference-header-content-length", "grpc-timeout", "cache-control",
    "x-forwarded-for", "forwarded", "range", "if-match", "if-none-match", "if-modified-since", "te", "upgrade",
    "cookie", "describe", "x_under", "referer", "via", "prefer", "x-accel-redirect", "proxy-connection", "keep-alive",
)  # fmt: skip
VALUES = (
    "", "0", "-1", "1e999", "null", "gzip", "deflate, br", "identity;q=0", "bytes=0-5", '"x"', "*", "no-cache",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "Bearer x.y.z", "Basic eDp5", "99999999H", "1n",
    "h2c", "203.0.113.9, 10.0.0.1", "for=unknown", "'; drop", "$version", "{{ version }}", "\xff\xfe", "x" * 900,
)  # fmt: skip
BODIES = (
    b"", b"[]", b"[1, 2]", b"{}", b"null", b'{"instances": [[1, 2]]}', b'{"inputs": []}', b"[" * 500, b'"' * 99,
    b"\x93NUMPY\x01\x00", b"\x1f\x8b\x08\x00", b"\x89PNG\r\n\x1a\n", b"\0" * 40, b"--x\r\n\r\n--x--", b"a=b&c=%zz",
    b"\0\0\0\0\x06\n\x04demo", b"\1\0\0\0\0", b"\0\xff\xff\xff\xff", b"1," * 3000, b"\xef\xbb\xbf[1]",
)  # fmt: skip


class Fuzz:
    """One seed's requests; what the same seed gives is always the same."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)

    def framed(self) -> bytes:
        """A request that the gateway can tell from the next on the same connection."""
        draw, body = self._draw, self._body()
        lines = [
            f"{draw.choice(METHODS)} {self._path()} HTTP/1.1",
            "Host: gateway",
            f"Content-Type: {draw.choice(TYPES)}",
        ]
        lines += [f"{draw.choice(NAMES)}: {draw.choice(VALUES)}" for _ in range(draw.randrange(6))]
        if draw.random() < 0.15:
            size = draw.randrange(1, 9)
            chunks = (body[at : at + size * 50] for at in range(0, len(body), size * 50))
            content = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
            lines.append("Transfer-Encoding: chunked")
        else:
            content = body
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + content

    def broken(self) -> bytes:
        """A request of which something was lost, doubled or changed."""
        draw, request = self._draw, bytearray(self.framed())
        for _ in range(draw.randrange(1, 6)):
            at = draw.randrange(len(request))
            what = draw.randrange(4)
            if what == 0:
                request[at] = draw.randrange(256)
            elif what == 1:
                del request[at : at + draw.randrange(1, 20)]
            elif what == 2:
                request[at:at] = draw.choice((b"\r\n", b"\n", b"\0", b": ", b" ", b"\r\n\r\n", b"HTTP/1.1", b"\xff"))
            else:
                request[at:at] = request[at : at + draw.randrange(1, 40)]
            if not request:
                return b"\r\n"
        return bytes(request)

    def frames(self, streams: int) -> Iterator[bytes]:
        """HTTP/2: so many streams, and frames that nobody asked for between them."""
        draw = self._draw
        for number in range(streams):
            stream, body = 2 * number + 1, self._body()
            fields = [(b":method", draw.choice(METHODS).encode()), (b":scheme", b"http"), (b":authority", b"gateway")]
            fields.append((b":path", self._path().encode("utf-8", "surrogateescape")))
            fields += [
                (draw.choice(NAMES).encode(), draw.choice(VALUES).encode("latin-1")) for _ in range(draw.randrange(4))
            ]
            if draw.random() < 0.2:
                draw.shuffle(fields)
            block = encoded(fields)
            yield frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, END_STREAM, stream, body[:16000])
            if draw.random() < 0.05:
                kind, flags = draw.randrange(12), draw.randrange(256)
                yield frame(kind, flags, draw.randrange(99), draw.randbytes(draw.randrange(30)))

    def _path(self) -> str:
        draw = self._draw
        return draw.choice(PATTERNS).format(model=draw.choice(MODELS), version=draw.choice(VERSIONS))

    def _body(self) -> bytes:
        draw = self._draw
        if draw.random() < 0.3:
            return draw.randbytes(draw.randrange(200))
        body: bytes = draw.choice(BODIES)
        return body
