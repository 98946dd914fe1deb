"""Errors outside a request; each says what went wrong, where, and how to fix it."""

from __future__ import annotations


class OnnxserveError(Exception):
    """An error that the user sees without a traceback; the process exits with `exit_code`."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        lines = [self.what]
        lines += [f"  where: {self.where}"] if self.where else []
        lines += [f"  fix:   {self.fix}"] if self.fix else []
        return "\n".join(lines)


class DefinitionError(OnnxserveError):
    """A model definition can't be read or isn't consistent."""


class SourceError(OnnxserveError):
    """Weights or data can't be fetched, or aren't the pinned ones."""


class CheckFailed(OnnxserveError):
    """A proof failed; the error has the step, what was measured, what was allowed, and what to try."""

    def __init__(self, step: str, measured: str, allowed: str, *, fix: str, where: str = "") -> None:
        super().__init__(f"{step}: {measured}; allowed: {allowed}", where=where, fix=fix)
        self.step = step
        self.measured = measured
        self.allowed = allowed


class StepFailed(OnnxserveError):
    """A step of the export broke; the error names the steps that ran before it."""


class ArchiveError(OnnxserveError):
    """An archive is damaged, unsafe, or not made by onnxserve."""


class RowError(OnnxserveError):
    """A row has no prediction.

    `type` is a stable name for programs, as docs/reference/requests.md lists them; `reason` says what is wrong, and
    `remedy` how to mend it. `row` is the row's number among those that were sent, from 0; None where the request as a
    whole was refused. `status` is HTTP's. A client puts such errors in the rows' places among the predictions.
    """

    def __init__(
        self,
        *,
        type: str,  # noqa: A002 - the name that answers have
        reason: str,
        where: str = "",
        remedy: str = "",
        row: int | None = None,
        status: int = 422,
    ) -> None:
        super().__init__(f"{type}: {reason}", where=where, fix=remedy)
        self.type = type
        self.reason = reason
        self.remedy = remedy
        self.row = row
        self.status = status


class ServerError(OnnxserveError):
    """TorchServe can't be started or reached, or it refuses a request."""


class GatewayError(OnnxserveError):
    """The gateway can't be rendered, started or changed."""


class ReleaseError(OnnxserveError):
    """A release step would be unsafe, or is impossible."""


class TuneError(OnnxserveError):
    """No setting keeps the objective, or the machine is too noisy to measure."""


class BatchError(OnnxserveError):
    """A batch job can't begin or can't continue."""


class FeatureError(OnnxserveError):
    """A feature store can't be read, loaded or reached."""


class MonitorError(OnnxserveError):
    """A dashboard, a log or a report can't be made or read."""
