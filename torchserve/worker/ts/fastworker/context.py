"""The context that TorchServe passes to handlers, with the names and results of `ts/context.py` in TorchServe 0.12."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from .messages import Request

CONTENT_TYPE = "content-type"


class RequestProcessor:
    """One request's headers, and the status and headers of its response."""

    __slots__ = ("_request", "_request_header", "reason_phrase", "response_header", "status_code")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._request_header: dict[str, Any] | None = None
        self.status_code = 200
        self.reason_phrase: str | None = None
        self.response_header: dict[str, str] = {}

    def get_request_properties(self) -> dict[str, Any]:
        """Return headers by name; each parameter adds `{name: {"content-type": …}}`."""
        if self._request_header is None:
            fields: dict[str, Any] = {name: {CONTENT_TYPE: kind} for name, kind, _ in self._request.parameters}
            self._request_header = fields | self._request.headers
        return self._request_header

    def get_request_property(self, key: str) -> Any:
        """Return one header, case-sensitive."""
        return self.get_request_properties().get(key)

    def report_status(self, code: int, reason_phrase: str | None = None) -> None:
        """Set the response's status."""
        self.status_code = code
        self.reason_phrase = reason_phrase

    def get_response_status_code(self) -> int:
        """Return the response's status."""
        return self.status_code

    def get_response_status_phrase(self) -> str | None:
        """Return the response's reason phrase."""
        return self.reason_phrase

    def add_response_property(self, key: str, value: str) -> None:
        """Set a header of the response."""
        self.response_header[key] = value

    def get_response_headers(self) -> dict[str, str]:
        """Return all headers of the response."""
        return self.response_header

    def get_response_header(self, key: str) -> str | None:
        """Return one header of the response."""
        return self.response_header.get(key)


class Context:
    """The model's settings, fixed when it is loaded, and the requests of the current batch."""

    def __init__(  # noqa: PLR0913 - the parameters of the context that handlers know
        self,
        model_name: str,
        model_dir: str,
        manifest: Any,
        batch_size: int | None,
        gpu: int | None,
        mms_version: str,
        limit_max_image_pixels: bool = True,  # noqa: FBT001, FBT002
        metrics: Any = None,
        model_yaml_config: dict[str, Any] | None = None,
    ) -> None:
        self.model_name = model_name
        self.manifest = manifest
        self.system_properties = {
            "model_dir": model_dir,
            "gpu_id": gpu,
            "batch_size": batch_size,
            "server_name": "MMS",
            "server_version": mms_version,
            "limit_max_image_pixels": limit_max_image_pixels,
        }
        self.request_ids: dict[int, str] | None = None
        self.request_processor: list[RequestProcessor] = []
        self.metrics = metrics
        self.model_yaml_config = model_yaml_config
        self.stopping_criteria: dict[int, Callable[[Any], bool | None]] | None = None
        self.cl_socket: socket.socket | None = None
        # TorchServe has neither: whether the archive was verified before its code was imported, and whether its
        # handler gets decoded JSON and text whatever the server's `decode_input_request` is.
        self.verified = False
        self.decodes = False
        self.header_key_sequence_id = os.getenv("TS_REQUEST_SEQUENCE_ID", "ts_request_sequence_id")
        self.header_key_sequence_start = os.getenv("TS_REQUEST_SEQUENCE_START", "ts_request_sequence_start")
        self.header_key_sequence_end = os.getenv("TS_REQUEST_SEQUENCE_END", "ts_request_sequence_end")

    @property
    def _request_processor(self) -> list[RequestProcessor]:
        """The private name that some handlers of TorchServe use."""
        return self.request_processor

    def get_request_id(self, idx: int = 0) -> str | None:
        """Return the frontend's id of request `idx`."""
        return None if self.request_ids is None else self.request_ids.get(idx)

    def get_request_header(self, idx: int, key: str) -> Any:
        """Return one header of request `idx`, case-sensitive."""
        return self.request_processor[idx].get_request_property(key)

    def get_all_request_header(self, idx: int) -> dict[str, Any]:
        """Return all headers of request `idx`."""
        return self.request_processor[idx].get_request_properties()

    def set_response_content_type(self, idx: int, value: str) -> None:
        """Set the content type of response `idx`."""
        self.request_processor[idx].response_header[CONTENT_TYPE] = value

    def get_response_content_type(self, idx: int) -> str | None:
        """Return the content type of response `idx`."""
        return self.get_response_headers(idx).get(CONTENT_TYPE)

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        """Set the status of response `idx`; before the first batch this does nothing."""
        if self.request_processor:
            self.request_processor[idx].report_status(code, reason_phrase=phrase)

    def set_all_response_status(self, code: int = 200, phrase: str = "") -> None:
        """Set the status of every response."""
        for processor in self.request_processor:
            processor.report_status(code, reason_phrase=phrase)

    def get_response_status(self, idx: int) -> tuple[int, str | None]:
        """Return status and phrase of response `idx`."""
        processor = self.request_processor[idx]
        return processor.get_response_status_code(), processor.get_response_status_phrase()

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        """Set a header of response `idx`."""
        self.request_processor[idx].add_response_property(key, value)

    def get_response_headers(self, idx: int) -> dict[str, str]:
        """Return all headers of response `idx`."""
        return self.request_processor[idx].get_response_headers()

    def get_sequence_id(self, idx: int) -> Any:
        """Return the sequence that request `idx` belongs to, for stateful models."""
        return self.get_request_header(idx, self.header_key_sequence_id)


# A handler's entry point: the parameters of each request, and the context, to a list with a body for each request.
Entry = Callable[[list[dict[str, Any]], Context], Any]
