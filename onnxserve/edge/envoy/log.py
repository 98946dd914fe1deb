"""The access log: one JSON line a request, without bodies or secrets."""

from __future__ import annotations

from pathlib import Path

from .typed import Resource, extension

FIELDS = {
    "time": "%START_TIME%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "method": "%REQ(:METHOD)%",
    "path": "%PATH(NQ)%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "detail": "%RESPONSE_CODE_DETAILS%",
    "ms": "%DURATION%",
    "upstream_ms": "%RESPONSE_DURATION%",
    "tries": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "bytes_in": "%BYTES_RECEIVED%",
    "bytes_out": "%BYTES_SENT%",
    "version": "%RESP(X-ONNXSERVE-VERSION)%",
    "cache": "%RESP(X-ONNXSERVE-CACHE)%",
    "degraded": "%RESP(X-ONNXSERVE-DEGRADED)%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "traceparent": "%REQ(TRACEPARENT)%",
}


def access_log(path: Path) -> Resource:
    """To a file; when the disk is full, lines are dropped and requests go on."""
    kind = "envoy.extensions.access_loggers.file.v3.FileAccessLog"
    return extension("envoy.access_loggers.file", kind, path=str(path), log_format={"json_format": FIELDS})
