"""Everything that is wrong with a definition, collected before the long steps and told at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from onnxserve.errors import OnnxserveError, StepFailed

MOST = 20  # faults that are told
Result = TypeVar("Result")


class FaultList:
    """Faults in the order in which they were found, each with what, where and fix."""

    def __init__(self) -> None:
        self._faults: list[OnnxserveError] = []

    def __bool__(self) -> bool:
        return bool(self._faults)

    def add(self, fault: OnnxserveError) -> None:
        """Add a fault, once."""
        if all(str(fault) != str(known) for known in self._faults):
            self._faults.append(fault)

    def attempt(self, call: Callable[[], Result]) -> Result | None:
        """Return the result of a call; if it raises an OnnxserveError, add that and return None."""
        try:
            return call()
        except OnnxserveError as error:
            self.add(error)
            return None

    def require(self, call: Callable[[], Result]) -> Result:
        """Return the result of a call; raise what it raises together with all earlier faults, or these alone."""
        try:
            result = call()
        except OnnxserveError as error:
            self.add(error)
            raise self._joined() from error
        self.check()
        return result

    def check(self) -> None:
        """Raise the only fault as it is, or several as one StepFailed."""
        if self._faults:
            raise self._joined()

    def _joined(self) -> OnnxserveError:
        return self._faults[0] if len(self._faults) == 1 else StepFailed(describe(self._faults))


def describe(faults: list[OnnxserveError]) -> str:
    """Describe faults as a numbered list of at most MOST."""
    lines = [f"{len(faults)} things are wrong" + (f", the first {MOST} are" if len(faults) > MOST else "") + ":"]
    for number, fault in enumerate(faults[:MOST], 1):
        first, *rest = str(fault).splitlines()
        lines += [f"  {number}. {first}", *(f"     {line}" for line in rest)]
    return "\n".join(lines)
