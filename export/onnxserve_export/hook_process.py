"""`python -m onnxserve_export.hook_process FOLDER DESCRIPTOR`: an archive's own handler, for another process's calls.

Messages of msgpack come and go over a socket; the other end is in `archived_hooks`. A hook that raises ends the
process, and its trace is the log.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from onnxserve.archive import folder_signature, package
from onnxserve.archive.proof import ProofArray

from .archived_hooks import HookAnswer, HookCall
from .served_class import served_class


def opened(folder: Path) -> Any:
    """Return the opened handler of an unpacked archive."""
    hooks = served_class(folder, package(folder), msgspec.to_builtins(folder_signature(folder)))()
    hooks.open(folder)
    return hooks


def answer(hooks: Any, call: HookCall) -> HookAnswer:
    """Call a hook."""
    method = getattr(hooks, call.hook, None)
    if method is None:
        return HookAnswer()
    outputs = [plain.outputs() for plain in call.outputs]
    if call.hook == "query_of":
        return HookAnswer(text=method(call.instance))
    if call.hook == "quality":
        given = method(*outputs, call.labels, call.origins)
    elif call.hook == "ranking":
        given = method(*outputs, call.labels, [np.array(group, np.intp) for group in call.groups])
    else:
        given = method(*outputs)
    return HookAnswer(ProofArray.of(np.asarray(given, np.float64)))


def serve(connection: Connection[Any, Any], folder: Path) -> None:
    """Answer calls until the connection closes."""
    hooks = opened(folder)
    while True:
        call = msgspec.msgpack.decode(connection.recv_bytes(), type=HookCall)
        connection.send_bytes(msgspec.msgpack.encode(answer(hooks, call)))


if __name__ == "__main__":
    with Connection(int(sys.argv[2])) as socket, suppress(EOFError, BrokenPipeError, ConnectionResetError):
        serve(socket, Path(sys.argv[1]))
