"""The report of an export: a page of HTML that lies beside the archive."""

from __future__ import annotations

from pathlib import Path

from onnxserve.errors import ArchiveError

from .markup import render


class Report:
    """A report; `path` is its file, and `html` the page, which needs no network and no script."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.html = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ArchiveError(
                f"the archive's report can't be read: {error.strerror}",
                where=str(path),
                fix="an export writes it beside the archive: copy both, or export again",
            ) from error

    def __repr__(self) -> str:
        return f"<Report {self.path}>"

    def _repr_html_(self) -> str:
        # In a frame of its own, the page's styles leave the notebook's alone, and the notebook's leave the page's.
        return render("report", html=self.html, name=self.path.name)
