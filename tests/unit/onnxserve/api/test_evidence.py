"""The evidence of an archive as a mapping, and as a notebook shows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onnxserve import Archive, Evidence
from onnxserve.archive import Summary, summarise


@pytest.fixture
def summary(archive) -> Summary:
    return summarise(archive)


def test_it_says_what_serves_and_what_may_be_lost(archive, summary):
    evidence = Archive(archive).evidence
    recorded = summary.evidence["summary"]
    assert (evidence.proof, evidence.variant) == ("certified", recorded["variant"])
    assert (evidence.budget, evidence.bound) == (0.01, recorded["bound"])
    assert dict(evidence) == summary.evidence
    assert len(evidence) == len(summary.evidence)
    assert any("95 % confidence" in sentence for sentence in evidence.sentences)
    assert repr(evidence) == f"<Evidence certified: {evidence.variant}>"


def test_a_notebook_shows_each_variant_with_every_value_escaped(summary):
    document = {**summary.evidence, "refused": {"w8<script>": "it is <slow>"}}
    page = Evidence(replace(summary, evidence=document))._repr_html_()
    assert page.count("<tr>") == 2 + len(summary.evidence["variants"])
    assert "<td>w8&lt;script&gt;</td>" in page
    assert "it is &lt;slow&gt;" in page
    assert "<script" not in page


def test_that_of_an_archive_of_torchserve_claims_nothing(summary):
    document = {"summary": {"migrated": True, "proof": "unproven", "unproven": "its handler was written for another"}}
    evidence = Evidence(replace(summary, evidence=document))
    assert (evidence.proof, evidence.variant, evidence.budget, evidence.bound) == ("unproven", "", None, None)
    assert "its handler was written for another" in evidence._repr_html_()
