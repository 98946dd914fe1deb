"""Every command and option of the program explains itself, and names that commands had before still work."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from onnxserve.cli import app as program
from onnxserve.cli.groups import RENAMED, RENAMED_OPTIONS, present_options
from onnxserve.cli.reference.options import commands, options
from tests.helpers.program import run

DESIGNED = {
    *("import", "new", "export", "serve", "predict", "client", "batch", "doctor"),
    *("archive", "gateway", "keys", "release", "features", "monitor", "tune"),
}
# What makes a number of an option a quantity.
UNITS = re.compile(
    r"\b(seconds|minutes|ms|percent|rows|requests|workers|threads|processes|answers|cores|CPUs?|GPUs?|port|labels|"
    r"decimals|entities|searches|probability|difference|price|number of \w+|per \w+)\b",
    re.IGNORECASE,
)
COMMANDS = dict(commands(program.app))
OPTIONS = {
    f"{' '.join(words)} {option.name}": option
    for words, function in COMMANDS.items()
    for option in options(function, " ".join(words))
}
NUMBERS = {name: option for name, option in OPTIONS.items() if option.type.startswith(("integer", "number"))}
GROUPS = {str(group.name): group.typer_instance for group in program.app.registered_groups if group.typer_instance}


def test_the_first_words_are_few():
    assert {words[0] for words in COMMANDS} == DESIGNED
    assert len(COMMANDS) > 35
    assert len(OPTIONS) > 150


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_a_sentence_and_an_example_of_itself(words):
    first, *_, example = re.split(r"\n\s*\n", str(COMMANDS[words].__doc__).strip())
    assert first[0].isupper()
    assert len(first.split()) >= 3
    assert "Example:" not in first
    assert " ".join(example.split()).startswith("Example: onnxserve " + " ".join(words))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_in_a_terminal_of_80_columns_every_option_stands_whole_on_a_line(words, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run(*words, "--help", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0
    names = {part for option in options(COMMANDS[words], "") for part in re.split("[, /]+", option.name)}
    assert {name for name in names if name.startswith("-")} <= set(re.split(r"[\s,/]+", out))
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("words", [(), *((name,) for name in GROUPS)], ids=" ".join)
def test_the_help_of_a_group_has_the_whole_sentence_of_each_command(words, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = run(*words, "--help", monkeypatch=monkeypatch, capsys=capsys)
    shown, own = " ".join(out.split()), [each for each in COMMANDS if each[:-1] == words]
    assert own
    for each in own:
        sentence = " ".join(str(COMMANDS[each].__doc__).strip().split("\n\n")[0].split()).partition(". ")[0]
        assert f"{each[-1]} {sentence.rstrip('.')}" in shown


def test_the_help_of_a_command_shows_its_example(monkeypatch, capsys):
    code, out, _ = run("release", "status", "--help", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0
    assert "Example: onnxserve release status segment" in " ".join(out.split())


def test_the_program_imports_no_library_that_only_some_commands_need():
    code = "import sys, onnxserve.cli.app; print(*{name.partition('.')[0] for name in sys.modules})"
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(completed.stdout.split())
    assert {"onnxserve", "typer"} <= imported
    assert not {"httpx", "numpy", "onnxruntime", "pandas", "pyarrow", "torch"} & imported


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_explained_by_a_whole_phrase(name):
    text = OPTIONS[name].meaning
    assert text[:1].isupper(), text
    assert text.endswith("."), text
    assert len(text.split()) >= 3, text


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_says_its_unit_and_its_default(name):
    option = NUMBERS[name]
    assert UNITS.search(option.meaning), option.meaning
    assert option.default != "none" or "default: " in option.meaning.lower(), option.meaning


@pytest.mark.parametrize("name", GROUPS)
def test_every_group_has_a_sentence(name):
    assert re.fullmatch(r"[A-Z].* .* .*\.", str(GROUPS[name].info.help))


@pytest.mark.parametrize("old", RENAMED)
def test_a_former_name_is_hidden_and_names_its_successor(old, monkeypatch, capsys):
    assert all(words[0] != old for words in COMMANDS)
    assert any(words[: len(RENAMED[old])] == RENAMED[old] for words in COMMANDS)
    code, out, err = run(old, "--help", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0
    assert "Usage: onnxserve " + " ".join(RENAMED[old]) in " ".join(out.split())
    assert err == (
        f"`onnxserve {old}` is now `onnxserve {' '.join(RENAMED[old])}`; the next minor version drops the old name\n"
    )


def test_the_former_name_of_an_option_works_is_hidden_and_reported_once(monkeypatch, capsys, tmp_path):
    gateway_file = tmp_path / "former.toml"
    gateway_file.write_text("[nonsense]\n")
    for option in (("--traffic", str(gateway_file)), (f"--traffic={gateway_file}",)):
        code, _, err = run("gateway", "check", *option, monkeypatch=monkeypatch, capsys=capsys)
        assert (code, err.count("nonsense")) == (1, 1)
        assert err.count("`--traffic` is now `--gateway-file`; the next minor version drops the old name\n") == 1
    code, shown, err = run("serve", "--help", monkeypatch=monkeypatch, capsys=capsys)
    assert (code, err) == (0, "")
    assert {"--gateway-file", "--gateway-port", "--no-gateway"} <= set(re.findall(r"--[\w-]+", shown))
    assert not RENAMED_OPTIONS.keys() & set(re.findall(r"--[\w-]+", shown))


def test_former_options_become_the_present_ones_up_to_the_end_of_options(capsys):
    given = ["--edge-port", "8000", "--no-edge", "--edge", "--no-edge", "--", "--traffic"]
    present = ["--gateway-port", "8000", "--no-gateway", "--gateway", "--no-gateway", "--", "--traffic"]
    assert present_options(given) == present
    assert capsys.readouterr().err.count("is now") == 3


def test_tune_without_a_command_is_tune_load_as_before(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    for arguments in (("nowhere.mar", "--p99-ms", "5"), ("--p99-ms", "5", "nowhere.mar")):
        code, _, err = run("tune", *arguments, monkeypatch=monkeypatch, capsys=capsys)
        assert code == 1
        assert "`onnxserve tune` is now `onnxserve tune load`" in err
        assert "there is no such archive" in err
    code, out, err = run("tune", "--help", monkeypatch=monkeypatch, capsys=capsys)
    assert (code, err) == (0, "")
    assert {"load", "capacity", "resources"} <= set(out.split())
