"""The report as a page: what stands in it, what lies behind a fold, and evidence of older archives."""

from __future__ import annotations

import json
import lzma
import re
import zipfile
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from onnxserve_export.report_page import render

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def evidence() -> dict[str, Any]:
    """The evidence inside an archive of 0.2.0, which knows no proof, no source and no times."""
    with zipfile.ZipFile(BytesIO(lzma.decompress((DATA / "circle-0.2.0.mar.xz").read_bytes()))) as archive:
        loaded: dict[str, Any] = json.loads(archive.read("evidence.json"))
    return loaded


@pytest.fixture(scope="module")
def timed(evidence) -> dict[str, Any]:
    """The same with times, a refused variant, and damages of nodes."""
    times = [("torch", 1, 0.02), ("torch", 32, 0.002), ("fp32", 1, 0.005), ("fp32", 32, 0.0005)]
    return {
        **evidence,
        "archive": {"file": "circle-1.0.0.mar", "sha256": "a" * 64, "bytes": 6000},
        "served": {"threads": 2, "batch": 32},
        "timings": [{"variant": name, "threads": 2, "batch": batch, "ms": ms} for name, batch, ms in times],
        "refused": {"w4": "no <node> is large enough"},
        "sensitivity": {"damage": {"layer/MatMul": 0.3, "layer/Gemm": 0.1}},
    }


class Outline(HTMLParser):
    """What is open and what is folded: tables, and addresses that the page would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.folds: list[bool] = []
        self.tables: list[bool] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [f"{tag} {value}" for name, value in attrs if name in ("src", "href")]
        if tag == "details":
            self.folds.append("open" not in dict(attrs))
        if tag == "table":
            self.tables.append(any(self.folds))

    def handle_endtag(self, tag: str) -> None:
        if tag == "details":
            self.folds.pop()


def test_the_answer_comes_first_then_two_plots_and_only_the_variants_are_unfolded(timed):
    page = render("circle-1.0.0", timed)
    places = [page.index(mark) for mark in ('class="verdict"', 'id="losses"', 'id="speeds"', "<details")]
    assert places == sorted(places)
    outline = Outline(page)
    assert outline.tables[0] is False
    assert outline.tables[1:] == [True] * 7
    assert "fp32 serves: its accuracy drops by at most 0.42 points" in page
    assert "4.0 times as fast as torch" in page


def test_the_page_stands_alone(timed):
    outline = Outline(render("circle-1.0.0", timed))
    assert outline.addresses == []
    assert not {"script", "link", "img", "iframe"} & {*outline.tags}
    assert "url(" not in render("circle-1.0.0", timed)


def test_no_zero_has_a_sign(timed):
    signed = json.loads(json.dumps(timed))
    for result in signed["variants"]:
        for paired in filter(None, (result["select"], result["paired"])):
            paired.update(drop=-0.0, bound=-1e-12, flips=-0.0)
    page = re.sub(r"<style>.*?</style>", "", render("x", signed), flags=re.DOTALL)
    assert re.findall(r"-0[.,]?0*(?![\d.]*[1-9])\b", page) == []


def test_texts_of_the_evidence_are_escaped(timed):
    page = render("<b>name</b>", timed)
    assert "no &lt;node&gt; is large enough" in page
    assert "<b>name" not in page


def test_the_evidence_inside_an_archive_of_an_earlier_version_is_rendered_without_times(evidence):
    page = render("circle-1.0.0", evidence)
    assert 'id="losses"' in page
    assert 'id="speeds"' not in page
    assert "Times aren't in an archive" in page


def test_an_archive_that_was_migrated_has_a_sentence_alone():
    page = render(
        "doubler-1.0.0", {"summary": {"proof": "unproven", "unproven": "it was made by others", "migrated": True}}
    )
    assert "The model is unproven: it was made by others." in page
    assert "<table" not in page


def test_sources_are_named_by_their_places_and_a_folder_of_this_machine_has_no_digest(evidence):
    sources = [
        {"name": "weights", "location": "s3://bucket/weights/", "sha256": "b" * 64},
        {"name": "words", "location": "words/"},
        {"name": "wheel", "package": "p", "version": "1", "file": "p-1.whl", "sha256": "c" * 64},
    ]
    page = render("circle-1.0.0", {**evidence, "sources": sources})
    for place, digest in [("s3://bucket/weights/", "b" * 64), ("words/", "\u2013"), ("p-1.whl", "c" * 64)]:
        assert f'<td>{place}</td><td class="text"><code>{digest}</code>' in page
