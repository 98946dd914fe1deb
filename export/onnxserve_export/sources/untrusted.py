"""Files that run code as they are read, which a user must allow."""

from __future__ import annotations

from collections.abc import Collection

from onnxserve.errors import DefinitionError

# The fields and sections of a definition that a torch program may state, and those of a fitted model.
TORCH = frozenset(
    ("input.kind", "input.tensors", "input.channels", "input.height", "input.width", "output.task"),
)
FITTED = frozenset(("input", "output"))


class UntrustedFile(DefinitionError):
    """A file that runs code as it is read, and wasn't trusted; the error proposes --trust.

    `hidden` are the fields and sections of a definition that it may state once it is read. An import asks for all
    others at once.
    """

    def __init__(self, what: str, *, where: str, fix: str, hidden: Collection[str] = ()) -> None:
        super().__init__(what, where=where, fix=fix)
        self.hidden = hidden
