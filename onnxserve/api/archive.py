"""An archive as an object."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from onnxserve.archive import CheckResult, check_archive, open_archive, read_signature, sign_archive, summarise
from onnxserve.archive.read import member

from .evidence import Evidence
from .markup import render
from .predictions import Predictions
from .predictor import Predictor
from .report import Report


class Archive:
    """An archive (`.mar`): a model with its handlers, its evidence and its golden rows.

    It may stand wherever a path may. ArchiveError if there is no such file, or if it isn't an archive of onnxserve.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._summary = summarise(Path(path).absolute())  # a notebook may change its folder

    @property
    def path(self) -> Path:
        """The archive's file."""
        return self._summary.path

    @property
    def name(self) -> str:
        """The model's name, as in `/predictions/NAME`."""
        return self._summary.name

    @property
    def version(self) -> str:
        """The model's version."""
        return self._summary.version

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file, 64 hexadecimal digits."""
        return self._summary.sha256

    @cached_property
    def evidence(self) -> Evidence:
        """What is claimed of its answers, and what the export measured."""
        return Evidence(self._summary)

    @property
    def report(self) -> Report:
        """The report of the export, which lies beside the archive; ArchiveError if it isn't there."""
        return Report(self.path.with_suffix(".report.html"))

    @cached_property
    def signature(self) -> dict[str, Any]:
        """What rows and predictions are: the content of `signature.json`."""
        return read_signature(self.path)

    @cached_property
    def golden_rows(self) -> list[Any]:
        """Some rows as a client sends them, which every worker must answer before it serves, shape (rows,)."""
        with open_archive(self.path) as archive:
            rows: list[Any] = msgspec.json.decode(member(archive, "golden.json"))["instances"]
        return rows

    def predict(self, rows: Iterable[Any], *, parameters: Mapping[str, Any] = MappingProxyType({})) -> Predictions:
        """Return a prediction for each row, shape (rows,), in this process, by the archive's own handler.

        A row has the form that a client would send, or holds numpy's arrays or bytes of a file. `parameters` are those
        of a request, such as `{"top_k": 3}`. The first call checks and loads the archive. RowError for the first row
        that has no prediction; ArchiveError if the archive isn't what it records, or can't be loaded here.
        """
        return Predictions(self._predictor.answer(rows, parameters), self.name, self.version)

    def verify(self, public_keys: Sequence[str | os.PathLike[str]] | None = None) -> CheckResult:
        """Check the digests, the signature and the golden rows; ArchiveError if one of them doesn't hold.

        `public_keys` are files with public keys, of which one must have signed the archive. Default: those of
        `ONNXSERVE_PUBLIC_KEY`; an empty list asks for no signature.
        """
        return check_archive(self.path, None if public_keys is None else [Path(key) for key in public_keys])

    def sign(self, private_key: str | os.PathLike[str], target: str | os.PathLike[str] | None = None) -> Archive:
        """Sign with a private key (EC P-256, PEM), and return the signed archive: `target`, or this file in place.

        ArchiveError if the key can't sign, or the archive isn't what it records.
        """
        path = Path(target) if target is not None else self.path
        sign_archive(self.path, Path(private_key), path)
        return Archive(path)

    @cached_property
    def _predictor(self) -> Predictor:
        return Predictor(self.path)

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"<Archive {self.name} {self.version}, {self.evidence.proof}: {self.path}>"

    def _repr_html_(self) -> str:
        size = self.path.stat().st_size / 1e6
        return render("archive", archive=self, evidence=self.evidence, megabytes=f"{size:.1f}")
