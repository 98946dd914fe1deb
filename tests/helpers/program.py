"""The program `onnxserve`, called without a process of its own."""

from __future__ import annotations

import pytest

from onnxserve.cli import app as program


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of the program, as a process would run it, in this one."""
    monkeypatch.setattr("sys.argv", ["onnxserve", *arguments])
    with pytest.raises(SystemExit) as ended:
        program.main()
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err
