"""Links of the documents lead somewhere, and code names only pages that exist."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

from onnxserve.gateway.nginx.files import ERRORS
from tests import ROOT
from tests.helpers.pages import blocks

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PAGE = re.compile(r"(?<![\w/])docs/[\w/.-]+\.md")
OLD = re.compile(r"(?:docs/|\[)\d\d-[a-z]")  # names of pages before they had folders

WRITTEN = {  # modules of benchmarks, and the page of docs/results that each writes
    "batch": "batch",
    "canary": "canaries",
    "fairness": "fairness",
    "faults": "faults",
    "gpu": "gpu",
    "gpu_workers": "workers-on-a-gpu",
    "quantised": "quantisation",
    "soak": "soak",
    "split": "where-time-goes",
    "table": "benchmarks",
    "watching": "watching",
}


def tracked() -> list[Path]:
    """Text files that git knows."""
    command = [str(shutil.which("git")), "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in listed.split("\0") if name and not name.endswith((".svg", ".xz", ".png", ".jar"))]
    return [path for path in paths if path.is_file()]


DOCUMENTS = [path for path in tracked() if path.suffix == ".md"]


def anchor_of(heading: str) -> str:
    """As mkdocs makes it of a heading's words."""
    words = re.sub(r"[^\w\s-]", "", heading).strip().lower()
    return re.sub(r"[-\s]+", "-", words)


@cache
def anchors(page: Path) -> set[str]:
    """Where a link into the page may lead, as mkdocs names headings."""
    headings = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return {anchor_of(heading) for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading_that_exist(document):
    broken = []
    for link in LINK.findall(FENCE.sub("", document.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        page = (document.parent / target).resolve() if target else document
        if not page.exists() or (anchor and anchor not in anchors(page)):
            broken.append(link)
    assert broken == []


def test_every_page_that_a_file_names_exists():
    named = {
        (page, str(path.relative_to(ROOT)))
        for path in tracked()
        for page in PAGE.findall(path.read_text(encoding="utf-8", errors="ignore"))
        if path != Path(__file__)
    }
    assert sorted((page, where) for page, where in named if not (ROOT / page).is_file()) == []
    assert len(named) > 20


def test_no_file_names_a_page_by_its_old_number():
    old = [path for path in tracked() if path != Path(__file__) and OLD.search(path.read_text("utf-8", "ignore"))]
    assert old == []


def test_each_decision_has_a_number_of_its_own_in_its_name_and_its_heading():
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    headings = [int(page.read_text(encoding="utf-8").removeprefix("# ").partition(".")[0]) for page in pages]
    assert headings == [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))


def test_the_architecture_page_has_the_layers_that_are_checked():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["name"] == "Down only; siblings apart"]
    page = (ROOT / "docs" / "concepts" / "architecture.md").read_text(encoding="utf-8")
    table = page.split("| code | may also use | may not use |\n|---|---|---|\n")[1].split("\n\n")[0]
    rows = [re.findall(r"`([\w.]+)`", line.split("|")[1]) for line in table.splitlines()]
    assert rows == [layer.split(" | ") for layer in layers]


def test_the_reference_of_the_gateway_has_every_error_that_nginx_gives():
    page = (ROOT / "docs" / "reference" / "gateway.md").read_text(encoding="utf-8")
    assert [kind for _, _, kind, _ in ERRORS if f"`{kind}`" not in page] == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 90


@pytest.mark.parametrize("module", sorted(WRITTEN))
def test_the_introduction_of_a_page_of_results_is_the_one_that_the_benchmark_writes(module):
    introduction = " ".join(importlib.import_module(f"benchmarks.{module}").INTRO.split())
    pattern = ".*?".join(re.escape(part) for part in re.split(r"\{[^}]*\}", introduction))
    page = (ROOT / "docs" / "results" / f"{WRITTEN[module]}.md").read_text(encoding="utf-8")
    assert re.match(pattern, " ".join(page.split()))


def test_a_newcomer_reaches_a_model_of_their_own_in_one_click_and_300_lines():
    readme, page = (ROOT / "README.md").read_text("utf-8"), "docs/getting-started/your-model.md"
    assert f"]({page})" in readme
    assert len(readme.splitlines()) + len((ROOT / page).read_text("utf-8").splitlines()) <= 300


def commands(text: str) -> set[str]:
    """Those of a block, without comments and spaces beside them."""
    lines = [line.partition(" #")[0] for line in text.splitlines()]
    return {command.strip() for line in lines for command in line.split("&&")} - {""}


def test_the_release_that_the_readme_shows_is_run_with_the_guide():
    [shown] = [block for block in blocks("sh") if block.page.name == "README.md" and "release.md" in block.elsewhere]
    guide = next(block for block in blocks("sh") if block.page.name == "release.md")
    assert guide.here
    assert commands(shown.text) <= commands(guide.text)
