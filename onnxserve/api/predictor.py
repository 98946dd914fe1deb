"""An archive's own handler, loaded in this process: it answers as a server with the same archive does."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from onnxserve.archive import folder_signature, package, unpack_trusted
from onnxserve.client.answers import OK, raise_first, with_row_errors
from onnxserve.client.exchange import Incoming
from onnxserve.client.fault import read_fault
from onnxserve.client.rows import encode_rows
from onnxserve.errors import ArchiveError, OnnxserveError
from onnxserve.scratch import Scratch
from onnxserve_handlers.trust.digests import folder_digests

from .plain_rows import plain_rows

JSON = {"Content-Type": "application/json"}
UNPACKED: list[Scratch] = []  # until this process ends
_LOADED: dict[str, dict[str, str]] = {}  # digests of the files of each handlers' package that this process imported


class Predictor:
    """A loaded handler. It answers in one thread at a time.

    The unpacked archive stays until the process ends, since Python may import more of its modules at any time.
    """

    def __init__(self, path: Path) -> None:
        scratch = Scratch()
        folder = scratch.path
        try:
            unpack_trusted(path, folder)
        except BaseException:
            scratch.remove()
            raise
        UNPACKED.append(scratch)
        self._folder, self._lock = folder, threading.Lock()
        self._largest = int(folder_signature(folder)["max_batch"])
        try:
            self._offline = load_package(folder)
            self._handler, _ = self._offline.loaded(folder)
        except OnnxserveError:
            raise
        except Exception as error:
            what = f"the archive's handler can't be loaded: {type(error).__name__}: {error}"
            raise ArchiveError(what, where=str(path), fix="onnxserve archive verify ARCHIVE says more") from error

    def answer(self, rows: Iterable[Any], parameters: Mapping[str, Any]) -> list[Any]:
        """Return a prediction for each row, shape (rows,); RowError for the first row that has none."""
        numbered = enumerate(plain_rows(rows))
        predictions, bodies = list[Any](), (encode_rows([row], parameters, number) for number, row in numbered)
        while batch := list(islice(bodies, self._largest)):
            predictions += self._answer_batch(batch, len(predictions))
        return predictions

    def _answer_batch(self, bodies: Sequence[bytes], first: int) -> Iterator[Any]:
        context = self._offline.OfflineContext(self._folder)
        context.headers = [JSON] * len(bodies)
        with self._lock:
            answers = self._handler.handle([{"body": body} for body in bodies], context)
        for number, answer in enumerate(answers):
            status, _ = context.statuses.get(number, (OK, ""))
            if status != OK:
                raise read_fault(Incoming(status, bytes(answer))).row_error(first + number)
            [prediction] = with_row_errors(msgspec.json.decode(answer)["predictions"], first + number)
            raise_first([prediction])
            yield prediction


def load_package(folder: Path) -> Any:
    """Return the module `offline` of the handlers in an unpacked archive, whose digests were checked.

    ArchiveError if this process has loaded other code under the same name: a package is named after its digest, so one
    of both archives isn't what an export writes.
    """
    name = package(folder)
    digests = folder_digests(folder / name)
    if _LOADED.setdefault(name, digests) != digests:
        what = f"this process has loaded other code as {name}, from another archive"
        raise ArchiveError(what, where=str(folder), fix="open one of both archives in another process")
    sys.path.insert(0, str(folder))
    try:
        return import_module(f"{name}.offline")
    finally:
        sys.path.remove(str(folder))
