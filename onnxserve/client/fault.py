"""What a server says of a request that it didn't answer, in any of its forms."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from onnxserve.errors import RowError

from .errors import RequestFailed, Unreachable
from .exchange import REQUEST_ID, Incoming, Outgoing
from .retry import NO_ANSWER, RETRY_AFTER, retry_after

# V2's errors are one line of text: `type: where: reason (fix)`.
LINE = re.compile(r"(?P<type>[a-z_]+): (?P<where>.+?): (?P<reason>.*?)(?: \((?P<fix>[^()]*)\))?", re.DOTALL)
PLACE = re.compile(r"instances\[(\d+)\]")
SERVERS = frozenset({"gateway", "server"})  # the places of errors that aren't a handler's
OF_ROWS = frozenset({400, 413, 422, 500, 507})
TOO_LARGE = frozenset({"too_large", "answer_too_large", "out_of_memory"})  # fewer rows may pass
NOT_FINITE = "not_finite"
SHOWN = 300  # characters of an answer that isn't ours


@dataclass(frozen=True, slots=True)
class Fault:
    """Status, type, reason, place and remedy of an error."""

    status: int
    type: str = ""
    reason: str = ""
    where: str = ""
    remedy: str = ""

    @property
    def is_too_large(self) -> bool:
        """Whether fewer rows in a request may pass."""
        return self.type in TOO_LARGE

    @property
    def is_of_rows(self) -> bool:
        """Whether rows are to blame, so that other rows of the request may have answers."""
        if self.is_too_large or (self.type == NOT_FINITE and self.where not in SERVERS):
            return True
        part = re.split(r"[.\[]", self.where)[0]
        return bool(self.type) and self.status in OF_ROWS and part in {"instances", "body"}

    @property
    def row(self) -> int | None:
        """The number of the first row to blame, None where the place doesn't say it."""
        match = PLACE.match(self.where)
        return int(match[1]) if match else None

    def row_error(self, row: int | None) -> RowError:
        """Return the error of a row; `row` is its number in the call, None where no row is named."""
        where = self.where if row is None else PLACE.sub(f"instances[{row}]", self.where)
        return RowError(
            type=self.type, reason=self.reason, where=where, remedy=self.remedy, row=row, status=self.status
        )


def fault_of(error: RowError) -> Fault:
    """Return the fault of a row that can't be sent."""
    return Fault(error.status, error.type, error.reason, error.where, error.remedy)


class ErrorBody(msgspec.Struct):
    """The `error` object of a handler or the gateway."""

    type: str = ""
    reason: str = ""
    where: str = ""
    fix: str = ""


class ErrorDocument(msgspec.Struct):
    """An answer with an error: an object, or V2's line; TorchServe's own has a `message`."""

    error: ErrorBody | str = ""
    message: str = ""


def read_fault(incoming: Incoming) -> Fault:
    """Return what an answer that isn't 200 says; any other server's text is the reason."""
    try:
        document = msgspec.json.decode(incoming.body, type=ErrorDocument)
    except msgspec.DecodeError:
        return read_line(incoming.status, incoming.body.decode(errors="replace")[:SHOWN])
    if isinstance(document.error, ErrorBody):
        body = document.error
        return Fault(incoming.status, body.type, body.reason, body.where, body.fix)
    return read_line(incoming.status, document.error or document.message or "no reason given")


def fault_in_place(answer: Any) -> Fault | None:
    """Return the error that stands in the place of a row's prediction; None for a prediction."""
    if not isinstance(answer, dict) or answer.keys() != {"error"}:
        return None
    error = answer["error"] if isinstance(answer["error"], dict) else {}
    fields = {name: str(error.get(name, "")) for name in ("type", "reason", "where", "fix")}
    return Fault(500, fields["type"], fields["reason"], fields["where"], fields["fix"])


def read_line(status: int, text: str) -> Fault:
    """Return the error of V2's line of text."""
    match = LINE.fullmatch(text)
    if match is None:
        return Fault(status, reason=text or "no reason given")
    return Fault(status, match["type"], match["reason"], match["where"], match["fix"] or "")


def request_failed(fault: Fault, outgoing: Outgoing, incoming: Incoming) -> RequestFailed:
    """Return the error of a whole request."""
    request_id = incoming.headers.get(REQUEST_ID) or outgoing.headers.get(REQUEST_ID, "")
    if incoming.status == NO_ANSWER:
        remedy = "check the URL, and that the server runs"
        return Unreachable(f"no answer: {fault.reason}", where=outgoing.path, remedy=remedy, request_id=request_id)
    return RequestFailed(
        fault.reason,
        type=fault.type,
        status=fault.status,
        where=" ".join(filter(None, (outgoing.path, f"({fault.where})" if fault.where else ""))),
        remedy=fault.remedy,
        retry_after_s=retry_after(incoming.headers.get(RETRY_AFTER, "")),
        request_id=request_id,
    )
