"""Every command and option of the program explains itself, and names that commands had before still work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from onnxserve.cli import app as program
from onnxserve.cli.groups import RENAMED

DESIGNED = {
    *("new", "export", "serve", "predict", "batch", "doctor"),
    *("archive", "gateway", "keys", "release", "features", "monitor", "tune"),
}
NUMBERS = {"integer", "float", "integer range", "float range"}
# What makes a number of an option a quantity.
UNITS = re.compile(
    r"\b(seconds|minutes|ms|percent|rows|requests|workers|threads|processes|answers|cores|CPUs?|GPUs?|port|labels|"
    r"decimals|entities|searches|probability|difference|price|number of \w+|per \w+)\b",
    re.IGNORECASE,
)


def commands(command: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every group and command with the words that call it."""
    command = command or get_command(program.app)
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*words, name))


ALL = dict(commands())
LEAVES = {words: command for words, command in ALL.items() if not getattr(command, "commands", {})}
OPTIONS = {
    f"{' '.join(words)} {parameter.name}": parameter
    for words, command in LEAVES.items()
    for parameter in command.params
    if not getattr(parameter, "hidden", False)
}


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """The program as a process would run it, in this one."""
    monkeypatch.setattr("sys.argv", ["onnxserve", *arguments])
    with pytest.raises(SystemExit) as ended:
        program.main()
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def test_the_first_words_are_few():
    assert {words[0] for words in ALL if words} == DESIGNED
    assert len(LEAVES) > 35
    assert len(OPTIONS) > 150


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_command_has_a_sentence_and_an_example_of_itself(words):
    first, *_, example = re.split(r"\n\s*\n", LEAVES[words].help.strip())
    assert first[0].isupper()
    assert len(first.split()) >= 3
    assert "Example:" not in first
    assert " ".join(example.split()).startswith("Example: onnxserve " + " ".join(words))


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_explained_by_a_whole_phrase(name):
    text = OPTIONS[name].help or ""
    assert text[:1].isupper(), text
    assert text.endswith((".", "….")), text
    assert len(text.split()) >= 3, text


@pytest.mark.parametrize("name", [name for name, option in OPTIONS.items() if option.type.name in NUMBERS])
def test_a_number_says_its_unit_and_its_default(name):
    option = OPTIONS[name]
    text = option.help or ""
    assert UNITS.search(text), text
    required = option.required or option.param_type_name == "argument"
    assert required or option.default is not None or "default: " in text.lower(), text


@pytest.mark.parametrize("words", [words for words in ALL if words and words not in LEAVES], ids=" ".join)
def test_every_group_has_a_sentence(words):
    assert re.fullmatch(r"[A-Z].* .* .*\.", ALL[words].help)


@pytest.mark.parametrize("old", RENAMED)
def test_a_former_name_is_hidden_and_names_its_successor(old, monkeypatch, capsys):
    assert (old,) not in ALL
    assert RENAMED[old] in ALL
    code, out, err = run(old, "--help", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0
    assert "Usage: onnxserve " + " ".join(RENAMED[old]) in " ".join(out.split())
    assert err == (
        f"`onnxserve {old}` is now `onnxserve {' '.join(RENAMED[old])}`; the next minor version drops the old name\n"
    )


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
