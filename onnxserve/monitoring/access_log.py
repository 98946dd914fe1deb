"""The access log: one line per request, in the format of `nginx/templates/http.conf.j2`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from onnxserve.log_reader import MOST_BEHIND, LogReader

# By gRPC code: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto.
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
    """The fields for counters and spans; a field that doesn't apply to a request is empty.

    `at` is when the request was answered, in seconds since 1970; `seconds` is how long that took. `version` is empty
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
    key: str = ""  # the first digits of the API key's digest
    address: str = ""
    alert: str = ""
    traceparent: str = ""
    parent: str = ""


_decoder = msgspec.json.Decoder(Entry)


class AccessLog:
    """Reads the requests answered since the log was opened; `damaged` counts unreadable lines."""

    def __init__(self, path: Path, most_behind: int = MOST_BEHIND) -> None:
        self._reader = LogReader(path, most_behind)
        self.damaged = 0

    @property
    def skipped(self) -> int:
        """The number of lines that were skipped because too many had come."""
        return self._reader.skipped

    def read(self) -> Iterator[list[Entry]]:
        """Yield the requests since the last call, some thousands at once."""
        for lines in self._reader.read():
            try:
                yield _decoder.decode_lines(lines)
            except msgspec.DecodeError:
                yield list(self._singly(lines))

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def _singly(self, lines: bytes) -> Iterator[Entry]:
        """Yield all lines but damaged ones: a full disk cuts lines short, and HTTP/0.9 has no status."""
        for line in lines.split(b"\n"):
            try:
                # nginx writes a client's bytes unchanged, whatever their encoding is.
                yield _decoder.decode(line.decode(errors="replace"))
            except msgspec.DecodeError:
                self.damaged += 1


def http_status(status: int, grpc: str) -> str:
    """Return the status in three digits; for a gRPC call, whose HTTP status is always 200, that of its code."""
    return CALL_STATUS.get(grpc, "500") if grpc else f"{status:03}"
