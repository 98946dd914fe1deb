"""No engine builds the Dockerfile in tests, so every path and command in it is held to what exists."""

import re
import subprocess
import sys

import pytest

from tests import ROOT

LINES = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text()).splitlines()


def instructions(word: str) -> list[str]:
    return [line.split(maxsplit=1)[1] for line in LINES if line.startswith(f"{word} ")]


def test_every_copied_path_exists_in_a_checkout_or_is_made_by_export():
    copied = [part for line in instructions("COPY") if "--from=" not in line for part in line.split()[:-1]]
    paths = [part for part in copied if not part.startswith("--")]
    assert {"handlers", "onnxserve", "export", "config.properties"} <= set(paths)
    assert [path for path in paths if path != "model_store" and not (ROOT / path).exists()] == []


def test_no_link_is_copied_into_the_image_which_lacks_what_it_leads_to():
    copied = [line.split()[1:-1] for line in LINES if line.startswith("COPY ") and "--from=" not in line]
    folders = [ROOT / part for parts in copied for part in parts if not part.startswith("--")]
    assert len(folders) > 5
    assert [path for folder in folders for path in folder.rglob("*") if path.is_symlink()] == []


def test_nothing_copied_is_ignored():
    ignored = {line.rstrip("/") for line in (ROOT / ".dockerignore").read_text().splitlines()}
    copied = {part for line in instructions("COPY") for part in line.split()}
    assert copied & ignored == set()


def test_it_has_two_stages_and_runs_as_an_ordinary_user():
    assert len(instructions("FROM")) == 2
    assert instructions("USER") == ["10001"]
    assert any("--uid 10001 serve" in line for line in instructions("RUN"))
    last = max(number for number, line in enumerate(LINES) if line.startswith("FROM"))
    assert any(line.startswith("USER") for line in LINES[last:])


@pytest.mark.parametrize("words", [["serve"], ["release", "ready"]])
def test_the_commands_it_runs_exist(words):
    assert any(str(words)[1:-1].replace("'", '"') in line for line in LINES)
    completed = subprocess.run(
        [sys.executable, "-m", "onnxserve", *words, "--help"], capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0
    assert "Example" in completed.stdout


def test_only_the_gateways_port_is_exposed_and_the_state_folder_is_its_users_alone():
    assert instructions("EXPOSE") == ["8000"]
    variables = dict(pair.split("=") for line in instructions("ENV") for pair in line.split())
    # Sockets are made there, and the health check finds them by the same variable.
    assert variables["ONNXSERVE_STATE"] == "/state"
    assert any("--owner serve --mode 0700 /state" in line for line in instructions("RUN"))


def test_it_has_the_program_that_torchserve_ends_workers_with():
    last = max(number for number, line in enumerate(LINES) if line.startswith("FROM"))
    assert any("procps" in line for line in LINES[last:])


def test_its_python_is_the_projects_and_serving_needs_no_torch():
    project = (ROOT / "pyproject.toml").read_text()
    assert not any("torch==" in line for line in LINES)
    assert 'requires-python = ">=3.11"' in project
    assert "ARG PYTHON=3.11" in LINES
