"""The record of every test on certify rows, kept in the model store, since each refusal makes later tests stricter."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from onnxserve.archive.write import pretty
from onnxserve.disk import replace_file
from onnxserve.errors import StepFailed
from onnxserve.file_lock import lock_file

from .significance_levels import level_after
from .subset import Subset

SUFFIX = ".certify.json"
SAMPLE = 16  # rows by which a subset is known again after some were added or removed


class CertifyTest(msgspec.Struct, frozen=True):
    """One graph on one subset of certify rows; `sample` are keys of some of them, in hex.

    `refused` stays true once it was, since its level is spent.
    """

    variant: str
    graph: str
    subset: str = msgspec.field(name="share")
    sample: list[str]
    level: float
    bound: float
    budget: float
    refused: bool


class _Tests(msgspec.Struct):
    tests: list[CertifyTest]
    earlier: list[CertifyTest]


class _Evidence(msgspec.Struct):
    certify: _Tests


class CertifyLog:
    """The tests of one model on rows like those of `subset`, in their order."""

    def __init__(self, store: Path, model: str, subset: Subset) -> None:
        self._path = store / f"{model}{SUFFIX}"
        self._subset = subset.digest
        self._sample = [key.hex() for key in sorted(subset.keys)[:SAMPLE]]
        self._keys = {key.hex() for key in subset.keys}
        self._load()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the record's lock, and read what other exports have recorded, so that their refusals count.

        A test takes one turn, from asking for its level to recording its outcome.
        """
        with lock_file(self._path):
            self._load()
            yield

    def _load(self) -> None:
        self._all = _read(self._path)
        self._all += [test for test in _read_evidence(self._path) if not _find(self._all, test.graph, test.subset)]
        self.tests = [test for test in self._all if _overlap(test, self._keys)]

    def level(self, graph: str) -> float:
        """Return the level at which to test a graph, known by its SHA-256: on the same rows, that of its last test.

        On other rows, even if some are the same, it is a new test.
        """
        known = self._known(graph)
        return known.level if known else level_after(sum(test.refused for test in self.tests))

    def earlier(self, graph: str) -> list[CertifyTest]:
        """Return the tests before that of `graph`."""
        known = self._known(graph)
        return self.tests[: self.tests.index(known)] if known else list(self.tests)

    def add(self, variant: str, graph: str, bound: float, budget: float, *, refused: bool) -> CertifyTest:
        """Record a test, in the turn in which its level was asked for."""
        known = self._known(graph)
        level = self.level(graph)
        refused = refused or (known is not None and known.refused)
        test = CertifyTest(variant, graph, self._subset, self._sample, level, bound, budget, refused)
        for tests in (self._all, self.tests):
            if known:
                tests[tests.index(known)] = test
            else:
                tests.append(test)
        replace_file(self._path, pretty(self._all))
        return test

    def _known(self, graph: str) -> CertifyTest | None:
        return _find(self.tests, graph, self._subset)


def _find(tests: Sequence[CertifyTest], graph: str, subset: str) -> CertifyTest | None:
    return next((test for test in tests if (test.graph, test.subset) == (graph, subset)), None)


def _read_evidence(path: Path) -> list[CertifyTest]:
    """Read the tests from the evidence of earlier exports beside the record, in case the record was lost."""
    name = path.name.removesuffix(SUFFIX)
    tests: list[CertifyTest] = []
    for evidence in sorted(path.parent.glob(f"{name}-*.evidence.json")):
        try:
            certify = msgspec.json.decode(evidence.read_bytes(), type=_Evidence).certify
        except msgspec.DecodeError:  # made before tests were recorded, or not by us
            continue
        tests += [test for test in certify.earlier + certify.tests if not _find(tests, test.graph, test.subset)]
    return tests


def _overlap(test: CertifyTest, keys: Collection[str]) -> bool:
    return any(key in keys for key in test.sample)


def _read(path: Path) -> list[CertifyTest]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[CertifyTest])
    except FileNotFoundError:
        return []
    except msgspec.DecodeError as error:
        raise StepFailed(
            f"the record of tests on the certify rows is damaged: {error}",
            where=str(path),
            fix="restore it from a copy; if there is none, remove it and export with new rows",
        ) from error
