"""Each check is explained in sentences."""

from __future__ import annotations

from onnxserve.doctor import CHECKS, MEANINGS, examine
from onnxserve.paths import resource
from onnxserve.torchserve import Settings


def test_each_check_has_its_sentences_and_no_other_has(tmp_path):
    findings = examine(Settings(resource("config.properties"), tmp_path / "store", tmp_path / "state"))
    assert len(findings) == len(CHECKS)
    assert {finding.check for finding in findings} == set(MEANINGS)
    assert {check.__name__.replace("_", " ") for check in CHECKS} == set(MEANINGS), "a check that fails has this name"


def test_the_sentences_are_whole():
    assert [text for text in MEANINGS.values() if not (text[0] in "`n" or text[0].isupper()) or text[-1] != "."] == []
