"""The report: what runs, what needs something, what differs and what fails."""

from __future__ import annotations

import pytest

from onnxserve.migrate import read_stock, report
from tests.helpers.stock import doubler_members, with_manifest, write_zip


@pytest.fixture
def findings(tmp_path):
    def read(members: dict[str, bytes], **manifest: str) -> dict[str, list[str]]:
        stock = read_stock(write_zip(tmp_path / "a.mar", with_manifest(members, **manifest)))
        verdicts: dict[str, list[str]] = {"fails": [], "needs": [], "differs": [], "runs": []}
        for finding in report(stock):
            verdicts[finding.verdict].append(f"{finding.subject}: {finding.text}")
        return verdicts

    return read


def test_a_handler_that_needs_numpy_alone_runs_and_its_metric_needs_a_line(findings):
    verdicts = findings(doubler_members())
    assert verdicts["fails"] == []
    assert [line.partition(":")[0] for line in verdicts["needs"]] == ["metrics"]
    assert "Doubled" in verdicts["needs"][0]
    assert any(line.startswith("doubler.py: the archive's own handler") for line in verdicts["runs"])
    assert any("one worker, batches of one request" in line for line in verdicts["runs"])


def test_packages_requirements_and_compiled_files_are_needed(findings):
    members = {
        **doubler_members(),
        "doubler.py": b"import cv2_absent\nimport torchvision\n" + doubler_members()["doubler.py"],
        "requirements.txt": b"# pinned\nnumpy==1.19\n\nopencv-python==4.5\n",
        "fast.cpython-38-x86_64-linux-gnu.so": b"\x7fELF",
    }
    needs = findings(members, requirementsFile="requirements.txt")["needs"]
    assert any("doubler.py:1 imports it" in line and "pip install cv2_absent" in line for line in needs)
    assert any("install it beside TorchServe yourself: numpy==1.19, opencv-python==4.5" in line for line in needs)
    assert any("fast.cpython-38-x86_64-linux-gnu.so" in line for line in needs)


def test_keys_that_only_torchserves_worker_carries_out_differ_and_settings_run(findings):
    config = (
        b"minWorkers: 2\nbatchSize: 8\nparallelType: pp\ntorchrun: {nproc-per-node: 4}\nasyncCommunication: false\n"
    )
    verdicts = findings({**doubler_members(), "c.yaml": config}, configFile="c.yaml")
    assert {line.partition(":")[0] for line in verdicts["differs"]} >= {"parallelType", "torchrun"}
    assert not any(line.startswith("asyncCommunication") for line in verdicts["differs"])
    assert "c.yaml: as it is: minWorkers 2, batchSize 8" in verdicts["runs"]


@pytest.mark.parametrize(
    ("changes", "manifest", "match"),
    [
        ({}, {"handler": "gone.py"}, "no such handler"),
        ({}, {"serializedFile": "gone.pt"}, "gone.pt: the manifest names it"),
        ({}, {"modelFile": "gone.py"}, "gone.py: the manifest names it"),
        ({"doubler.py": b"print 'old'"}, {}, "this Python can't read doubler.py:1"),
        ({"m.pt": b"\x80\x02"}, {"handler": "image_classifier", "serializedFile": "m.pt"}, "without the module"),
    ],
)
def test_what_would_not_load_fails(findings, changes, manifest, match):
    assert match in "\n".join(findings({**doubler_members(), **changes}, **manifest)["fails"])


def test_what_every_migrated_model_loses_is_said(findings):
    subjects = {line.partition(":")[0] for line in findings(doubler_members())["differs"]}
    assert subjects == {"input", "errors", "requests", "limited keys", "canaries", "proof"}
