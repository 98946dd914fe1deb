"""The access log: a line a request, as `nginx/templates/http.conf.j2` writes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from onnxserve.gateway.log_reader import MOST_BEHIND, LogReader

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
# https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto names the HTTP status of each code.
CALL_STATUS = {
    "0": "200",
    "1": "499",
    "2": "500",
    "3": "400",
    "4": "504",
    "5": "404",
    "6": "409",
    "7": "403",
    "8": "429",
    "9": "400",
    "10": "409",
    "11": "400",
    "12": "501",
    "13": "500",
    "14": "503",
    "15": "500",
    "16": "401",
}


class Entry(msgspec.Struct, frozen=True, gc=False):
    """The fields that counters and spans are made of; those that a request has none of are empty.

    `at` is when the request was answered, in seconds since 1970, and `seconds` how long that took. `version` is empty
    unless the model has it. `traceparent` is the gateway's own context, `parent` what the client sent
    (https://www.w3.org/TR/trace-context/).
    """

    at: float
    status: int
    seconds: float
    bytes_in: int
    bytes_out: int
    method: str = ""
    path: str = ""
    request_id: str = ""
    model: str = ""
    version: str = ""
    cache: str = ""
    degraded: str = ""
    error: str = ""
    grpc: str = ""
    client: str = ""
    key: str = ""  # the first digits of the digest of the key that opened it
    address: str = ""
    alert: str = ""
    traceparent: str = ""
    parent: str = ""


_decoder = msgspec.json.Decoder(Entry)


class AccessLog:
    """Requests that were answered since the log was opened; `damaged` counts lines that can't be read."""

    def __init__(self, path: Path, most_behind: int = MOST_BEHIND) -> None:
        self._reader = LogReader(path, most_behind)
        self.damaged = 0

    @property
    def skipped(self) -> int:
        """Lines that nobody read since too many had come."""
        return self._reader.skipped

    def read(self) -> Iterator[list[Entry]]:
        """Those that came since the last call, some thousand at once."""
        for lines in self._reader.read():
            try:
                yield _decoder.decode_lines(lines)
            except UNREADABLE:
                yield list(self._singly(lines))

    def close(self) -> None:
        """Let the file go."""
        self._reader.close()

    def _singly(self, lines: bytes) -> Iterator[Entry]:
        """All but the damaged: a write that a full disk cut short, or a version of HTTP that has no status."""
        for line in lines.split(b"\n"):
            try:
                # nginx writes bytes of a client's as they came, whatever their encoding is.
                yield _decoder.decode(line.decode(errors="replace"))
            except UNREADABLE:
                self.damaged += 1


def http_status(status: int, grpc: str) -> str:
    """The status of an answer in three digits; of a gRPC call, which is always 200, the one that `grpc` stands for."""
    return CALL_STATUS.get(grpc, "500") if grpc else f"{status:03}"
