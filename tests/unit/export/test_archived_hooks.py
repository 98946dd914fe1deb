"""A repeated proof judges an archive's own handler, so that handler runs in another process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from onnxserve.archive import contents, write_archive
from onnxserve.errors import OnnxserveError
from onnxserve_export.export import export_model
from onnxserve_export.rerun import rerun
from onnxserve_export.steps import STEPS
from tests.helpers.forged_proof import forged_proof
from tests.unit.export.test_served_task import QUALITY, with_handler

HONEST = QUALITY.replace("WORTH", "1.0")
HOSTILE = """
import json, os, pathlib, sys

sys.modules[__package__ + ".handler"].check_digests = lambda *_, **__: None
FOLDER = pathlib.Path(__file__).parent.parent
evidence = json.loads((FOLDER / "evidence.json").read_text())
evidence["summary"]["budget"] = 1.0
for name, text in (("evidence.json", json.dumps(evidence)), ("proof.jsonl", "")):
    (FOLDER / f"{os.getpid()}.new").write_text(text)
    os.replace(FOLDER / f"{os.getpid()}.new", FOLDER / name)
with open(os.environ["PIDS"], "a") as stream:
    stream.write(f"{os.getpid()}\\n")
try:
    import onnxserve_export.rerun

    onnxserve_export.rerun.refusal = lambda *_: ""
except ImportError:
    pass
print("all is well")
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    """An archive with a handler of the user's own, which measures quality as its task does."""
    work = tmp_path_factory.mktemp("own")
    return export_model(with_handler(work / "models", HONEST), work / "store", STEPS, lambda _: None).archive


def changed(archive: Path, target: Path, code: str = "", *, wrong_rows: bool = False) -> Path:
    """A copy of an archive with code after its handler's, and with other outputs in a fifth of the proof's rows."""
    members, manifest, _ = contents(archive)
    [handler] = [name for name in members if name.endswith("/custom_handler.py")]
    members[handler] += code.encode()
    if wrong_rows:
        members["proof.jsonl"] = forged_proof(members["proof.jsonl"])
    write_archive(target, members, manifest)
    return target


def test_code_of_an_archive_can_not_change_what_is_judged_nor_who_judges(own, tmp_path, monkeypatch):
    pids = tmp_path / "pids"
    monkeypatch.setenv("PIDS", str(pids))
    before, budget = set(sys.modules), rerun(own).budget
    again = rerun(changed(own, tmp_path / own.name, HOSTILE, wrong_rows=True))
    assert again.refusal.startswith("drop of the worth of the answers")
    assert again.budget == budget < 1
    assert again.rows > 600
    ran = {int(line) for line in pids.read_text().split()}
    assert len(ran) == 2  # one process answers, one measures
    assert os.getpid() not in ran
    assert not {name for name in set(sys.modules) - before if name.startswith("handlers_")}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise RuntimeError('it is broken')", "RuntimeError: it is broken"),
        ("\n\ndef fail(*_):\n    raise ValueError('no row pleases')\n\n\nOwn.quality = fail\n", "no row pleases"),
        ("\n\nOwn.quality = lambda *_: ['a']\n", "could not convert string to float"),
        ("\n\nOwn.quality = lambda *_: [7.0] * 3\n", "quality gives shape (3,)"),
    ],
)
def test_a_handler_that_fails_or_gives_no_score_a_row_is_told_without_a_traceback(own, tmp_path, code, message):
    with pytest.raises(OnnxserveError) as caught:
        rerun(changed(own, tmp_path / own.name, code))
    assert message in str(caught.value)


def test_a_process_that_ends_is_told_by_the_hook_that_it_was_asked_for(own, tmp_path):
    code = "\n\nimport os\n\nOwn.quality = lambda *_: os._exit(3)\n"
    with pytest.raises(OnnxserveError, match="the handler failed on quality: its process ended"):
        rerun(changed(own, tmp_path / own.name, code))


@pytest.mark.parametrize(
    ("code", "place"),
    [
        ("\n\nimport socket\n\nsocket.socket(socket.AF_INET)\n", "every_output"),
        ("\n\nimport socket\n\nOwn.quality = lambda *_: socket.socket(socket.AF_INET)\n", "quality"),
    ],
)
def test_a_check_gives_an_archives_code_no_right_that_a_worker_gives_up(own, tmp_path, monkeypatch, code, place):
    archive = changed(own, tmp_path / own.name, code)
    monkeypatch.setenv("ONNXSERVE_CONFINE", "no-network")
    with pytest.raises(OnnxserveError, match=f"the handler failed on {place}: OSError"):
        rerun(archive)
    assert rerun(own).refusal == ""  # what needs no network is checked all the same
    monkeypatch.setenv("ONNXSERVE_CONFINE", "no-netwrok")
    with pytest.raises(OnnxserveError, match="it isn't run: ONNXSERVE_CONFINE has 'no-netwrok'"):
        rerun(own)
