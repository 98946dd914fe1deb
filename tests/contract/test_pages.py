"""The pages' own commands, run as they stand: on a copy of the checkout, in a network where all ports are free."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.helpers.pages import ROOT, Block, blocks

AT_MOST_S = 870
pytestmark = pytest.mark.timeout(AT_MOST_S + 30)  # all pages run in the fixture of the first test
NETWORK = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
DONE = ("onnxserve export", "onnxserve serve")  # of transcripts: what was done before the pages are run


def copied(folder: Path) -> None:
    """What git knows, the archives, and the environments; with the times, so that make has nothing to do."""
    command = [str(shutil.which("git")), "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    shutil.copytree(ROOT / "model_store", folder / "model_store", dirs_exist_ok=True)
    shutil.copytree(ROOT / "model_store", folder / "pristine")
    shutil.copytree(ROOT / "models" / "churn" / "store" / "data", folder / "models" / "churn" / "store" / "data")
    plugins = "torchserve/batching-plugin/plugins"
    shutil.copytree(ROOT / plugins, folder / plugins, dirs_exist_ok=True)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    (folder / "clients").symlink_to(ROOT / ".venv" / "clients")


def rows(folder: Path) -> None:
    """`rows.parquet`, a table of `segment`."""
    with zipfile.ZipFile(ROOT / "model_store" / "segment-1.0.0.mar") as archive:
        columns = json.loads(archive.read("signature.json"))["input"]["columns"]
        golden = json.loads(archive.read("golden.json"))["instances"]
    table = {name: pa.array([float(row[at]) for row in golden]) for at, name in enumerate(columns)}
    pq.write_table(
        pa.table({**table, "id": pa.array([str(number) for number in range(len(golden))])}), folder / "rows.parquet"
    )


def transcript(block: Block) -> list[tuple[str, list[str]]]:
    """Commands and the lines that they show, without those that were run before."""
    commands: list[tuple[str, list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            commands[-1][1].append(line)
    return [(command, lines) for command, lines in commands if not command.startswith(DONE)]


def script(block: Block) -> str:
    """What is run of a block; output of a transcript gets lines of its own."""
    if block.kind != "console":
        return block.text
    return "".join(f"{command}; echo\n" for command, _ in transcript(block))


def shown(block: Block) -> str:
    """A pattern of what a transcript shows; `...` is anything."""
    lines = [line for _, lines in transcript(block) for line in lines]
    return "(?s:.*)".join(".*".join(map(re.escape, re.split(r",? ?\.\.\.", line))) for line in lines)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Where all of it was run."""
    folder: Path = tmp_path_factory.mktemp("pages")
    copied(folder)
    rows(folder)
    (folder / "blocks").mkdir()
    for number, block in enumerate(HERE):
        suffix = "py" if block.kind == "python" else "sh"
        (folder / "blocks" / f"{number:02}.{suffix}").write_text(script(block))
    command = [*NETWORK, "bash", str(ROOT / "tests" / "contract" / "pages.sh"), str(folder)]
    with (folder / "pages.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            code = process.wait(AT_MOST_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    logs = (folder / "pages.log").read_text() + (folder / "serve.log").read_text() if code else ""
    assert code == 0, logs or "no network of its own: root, or a machine that allows user namespaces"
    return folder


HERE = [block for block in blocks("sh", "console", "python") if block.here]
NAMES = [f"{number:02}-{block.page.name}" for number, block in enumerate(HERE)]


@pytest.mark.parametrize("number", range(len(HERE)), ids=NAMES)
def test_a_block_runs_as_it_stands_on_its_page(place, number):
    block = HERE[number]
    [log] = (place / "blocks").glob(f"{number:02}.*.log")
    failed = (place / "failed").read_text().split() if (place / "failed").exists() else []
    assert not any(f"/{number:02}." in name for name in failed), f"{block.text}\n{log.read_text()[-3000:]}"
    if block.kind == "console":
        assert re.search(shown(block), log.read_text()), log.read_text()


def test_the_server_of_the_pages_ended_when_it_was_told(place):
    assert "stopping" in (place / "serve.log").read_text()
