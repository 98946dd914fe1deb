"""The files that a forge, an editor's hook and a reporter of flaws look for."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import onnxserve
from tests import ROOT
from tests.conftest import LONGEST_FIRST, TESTS

BIN = Path(sys.executable).parent


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_workflow_of_the_forge_is_valid_and_runs_what_ci_runs():
    workflow = ROOT / ".github" / "workflows" / "test.yml"
    checked = run(str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.github-workflows", str(workflow))
    assert checked.returncode == 0, checked.stdout
    for command in ("tests/programs.sh --install", "make test"):
        assert command in workflow.read_text()
        assert command in (ROOT / ".ci" / "run").read_text()


def test_hooks_before_a_commit_are_valid():
    checked = run(str(BIN / "pre-commit"), "validate-config", ".pre-commit-config.yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_hooks_before_a_commit_run_what_make_check_runs():
    makefile = (ROOT / "Makefile").read_text()
    targets = [makefile.partition(f"\n{name}: ")[2].partition("\n\n")[0] for name in ("lint", "types", "imports")]
    programs = re.findall(r"\$\(BIN\)/(\S+(?: check| format)?)", "\n".join(targets))
    hooks = re.findall(r"entry: .*\.venv/bin/(\S+(?: check| format)?)", (ROOT / ".pre-commit-config.yaml").read_text())
    assert len(programs) == 6
    assert sorted(hooks) == sorted(programs)


def test_every_target_that_make_lists_exists():
    listed = run("make", "--no-print-directory", "help").stdout.split("make ")[1:]
    names = [line.split()[0] for line in listed]
    assert {"serve", "test", "check", "export", "clean", "clean-all"} <= set(names)
    rules = run("make", "-qp").stdout
    assert [name for name in names if f"\n{name}:" not in rules] == []


def test_make_starts_processes_that_keep_their_bytecode(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    shown = run("make", "-s", "--no-print-directory", "--eval", "show: ; @env", "show").stdout
    assert "\nPATH=" in f"\n{shown}"
    assert "PYTHONDONTWRITEBYTECODE" not in shown


def test_clean_keeps_archives_and_state():
    commands = run("make", "-n", "clean").stdout
    assert "dist" in commands
    assert "model_store" not in commands
    assert ".onnxserve" not in commands


def test_clean_all_asks_first(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in (".venv", "model_store", ".onnxserve"):
        (tmp_path / name).mkdir()
    words = ("make", "--no-print-directory", "clean-all")
    answered = subprocess.run(words, cwd=tmp_path, input="n\n", capture_output=True, text=True, check=False)
    assert "remove model_store/*.mar and .onnxserve" in answered.stdout
    assert answered.returncode != 0
    assert all((tmp_path / name).is_dir() for name in (".venv", "model_store", ".onnxserve"))


def test_the_changelog_has_the_version_with_its_date():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## {onnxserve.__version__} - 20" in changelog


def test_spelling_is_part_of_the_check():
    assert "codespell" in (ROOT / "Makefile").read_text()
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["codespell"]["skip"]


def test_files_that_are_to_come_first_exist():
    assert [name for name in LONGEST_FIRST if not (TESTS / name).is_file()] == []
