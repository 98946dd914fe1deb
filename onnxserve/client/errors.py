"""Errors of a call: of one row, or of the whole request."""

from __future__ import annotations

from onnxserve.errors import ServerError


class RequestFailed(ServerError):
    """A whole request that was refused, or that the server failed to answer.

    `status` is HTTP's, 0 without an answer; `type` and `reason` are the server's. `retry_after_s` is how many seconds
    the server asks to wait, None where it doesn't say. `request_id` finds the request in the server's logs.
    """

    def __init__(  # noqa: PLR0913 - each is a field of the server's error
        self,
        reason: str,
        *,
        type: str = "",  # noqa: A002 - the server's name
        status: int = 0,
        where: str = "",
        remedy: str = "",
        retry_after_s: float | None = None,
        request_id: str = "",
    ) -> None:
        number = f"{status} " if status else ""
        super().__init__(f"{number}{type}: {reason}" if type else f"{number}{reason}", where=where, fix=remedy)
        self.type = type
        self.reason = reason
        self.status = status
        self.remedy = remedy
        self.retry_after_s = retry_after_s
        self.request_id = request_id


class DeadlineExceeded(RequestFailed):
    """The time that the call may take is over."""


class Unreachable(RequestFailed):
    """No server answered, as often as the call tried."""
