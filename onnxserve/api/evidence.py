"""What an archive claims of its answers, as its export recorded it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from onnxserve.archive import Summary
from onnxserve.archive.evidence import proof_of
from onnxserve.archive.explanation import explain_choice, read_timed_evidence, times, variant_rows

from .markup import render

HEADINGS = ("variant", "MB", "score", "drop at most", "answers changed", "speed-up", "verdict")


class Evidence(Mapping[str, Any]):
    """The evidence of an archive: a mapping with the fields of its `evidence.json`.

    `proof` is `certified`, `parity` or `unproven`, as docs/concepts/statistics.md defines them; `variant` is the
    variant that serves; `budget` is the largest loss of score that was allowed [share]; `bound` is the largest loss
    that the rows leave possible [share], None where none was compared. `sentences` say the same in words.
    """

    def __init__(self, summary: Summary) -> None:
        self._summary = summary
        self._document = summary.evidence

    def __getitem__(self, name: str) -> Any:
        return self._document[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._document)

    def __len__(self) -> int:
        return len(self._document)

    @property
    def proof(self) -> str:
        """By which proof the archive may serve."""
        return proof_of(self._document["summary"])

    @property
    def variant(self) -> str:
        """The variant that serves, such as `int8`; empty in an archive that was taken over from TorchServe."""
        return str(self._document["summary"].get("variant", ""))

    @property
    def budget(self) -> float | None:
        """The largest loss of score that was allowed [share]; None in an archive that was taken over."""
        budget = self._document["summary"].get("budget")
        return None if budget is None else float(budget)

    @property
    def bound(self) -> float | None:
        """The largest loss of score that the rows leave possible [share]; None where no rows were compared."""
        bound = self._document["summary"].get("bound")
        return None if bound is None else float(bound)

    @property
    def sentences(self) -> list[str]:
        """What is claimed, and why this variant was chosen, a sentence each."""
        return explain_choice(self._summary, read_timed_evidence(self._summary))

    @property
    def _milliseconds(self) -> dict[str, float]:
        return times(read_timed_evidence(self._summary))

    def __repr__(self) -> str:
        return f"<Evidence {self.proof}: {self.variant}>"

    def _repr_html_(self) -> str:
        rows = variant_rows(self._summary, self._milliseconds)
        return render("evidence", proof=self.proof, sentences=self.sentences, headings=HEADINGS, rows=rows)
