"""The documentation as a site, without a broken link; and what its blocks say to type is there to be typed."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from onnxserve.cli import app as boundary
from onnxserve.cli.groups import SHORT
from onnxserve.gateway.config import Predictions
from tests.helpers.pages import PAGES, ROOT, blocks

INLINE = re.compile(r"`(onnxserve [a-z][^`]*)`")


def commands() -> Iterator[tuple[Path, str]]:
    """Lines that call us, in blocks and in the text."""
    for block in blocks("sh", "console"):
        for line in block.text.replace("\\\n", " ").splitlines():
            if match := re.search(r"(?:^|\$ |&& )(onnxserve [a-z].*)", line):
                yield block.page, match[1]
    for page in PAGES:
        for line in INLINE.findall(page.read_text()):
            yield page, line


@pytest.fixture(scope="module")
def verbs() -> Any:
    """All commands, as the program has them."""
    return typer.main.get_command(boundary.app)


def test_the_site_is_built_without_a_broken_link_and_every_page_is_in_its_order(tmp_path):
    words = [str(Path(sys.executable).with_name("mkdocs")), "build", "--strict", "-q", "-d", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    completed = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    nav = json.dumps(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    pages = [page.relative_to(ROOT / "docs") for page in (ROOT / "docs").rglob("*.md")]
    apart = {"decisions", "runbook"}  # folders that the site has and the order leaves out
    assert [str(page) for page in pages if page.parts[0] not in apart and f'"{page}"' not in nav] == []


def test_every_command_that_the_pages_show_exists_with_its_options(verbs):
    wrong, count = [], 0
    for page, line in commands():
        text = re.split(r"\s(?:#|>|\||&)", line.replace("…", ""))[0]
        try:
            words = shlex.split(text)[1:]
        except ValueError:
            continue  # an apostrophe of the text
        command = verbs
        words = [*SHORT.get(words[0], words[:1]), *words[1:]] if words else []
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        count += 1
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in known | {"--help"}]
        if unknown or (command is verbs and words and words[0] not in {"--version", "--help"}):
            wrong.append(f"{page.name}: {line} ({unknown or words[0]})")
    assert wrong == []
    assert count > 100


def test_every_block_of_toml_yaml_and_json_is_one():
    for block in blocks("toml"):
        try:
            tomllib.loads(block.text)
        except tomllib.TOMLDecodeError as error:
            pytest.fail(f"{block.page.name}: {error}\n{block.text}")
    for block in blocks("yaml", "json"):
        try:
            list(yaml.safe_load_all(block.text))
        except yaml.YAMLError as error:
            pytest.fail(f"{block.page.name}: {error}\n{block.text}")


def test_every_block_says_what_it_is_and_each_that_is_not_run_with_the_pages_says_why_or_where():
    assert list(blocks("")) == []
    for block in blocks("sh", "console", "python"):
        for file in re.findall(r"tests/[\w/]+\.py", block.elsewhere + block.why):
            assert (ROOT / file).is_file(), file
        assert not block.elsewhere or block.elsewhere.startswith("tests/"), block


def test_the_page_of_the_prediction_log_names_every_field_of_it():
    page = (ROOT / "docs" / "guides" / "monitoring.md").read_text()
    assert all(re.search(rf"^{name} = ", page, re.MULTILINE) for name in Predictions.__struct_fields__)
