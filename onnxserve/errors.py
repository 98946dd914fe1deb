"""What goes wrong outside a request: said with what, where, and how to fix it."""

from __future__ import annotations


class OnnxserveError(Exception):
    """Shown to the user as it is, without a traceback; the process exits with `exit_code`."""

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
    """A model definition that can't be read or isn't consistent."""


class SourceError(OnnxserveError):
    """Weights or data that can't be had, or aren't the pinned ones."""


class CheckFailed(OnnxserveError):
    """A proof that failed: which step, what was measured, what was allowed, what to try."""

    def __init__(self, step: str, measured: str, allowed: str, *, fix: str, where: str = "") -> None:
        super().__init__(f"{step}: measured {measured}, allowed {allowed}", where=where, fix=fix)
        self.step = step
        self.measured = measured
        self.allowed = allowed


class StepFailed(OnnxserveError):
    """A step of the export that broke; names the steps that had run before it."""


class ArchiveError(OnnxserveError):
    """An archive that is damaged, unsafe or not one of ours."""


class ServerError(OnnxserveError):
    """TorchServe can't be started, reached, or refuses."""


class GatewayError(OnnxserveError):
    """The edge can't be rendered, started or changed."""


class ReleaseError(OnnxserveError):
    """A release step that would be unsafe or makes no sense."""


class TuneError(OnnxserveError):
    """No setting that keeps the objective, or a machine too noisy to tell."""


class BatchError(OnnxserveError):
    """A batch job that can't begin or go on."""


class FeatureError(OnnxserveError):
    """A feature store that can't be read, loaded or reached."""


class MonitorError(OnnxserveError):
    """What is to be watched can't be."""
