"""The proof in the archive: repeated elsewhere, explained, and enforced."""

import json
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from onnxserve.archive import contents, max_batch, read_config, unpack, write_archive
from onnxserve.archive.offline import outputs
from onnxserve.archive.proof import ProofArray, ProofRow, proof_rows
from onnxserve.cli.app import app
from onnxserve.errors import ArchiveError
from onnxserve.scaffold import new_model
from onnxserve_export.archived_hooks import archived_task
from onnxserve_export.export import export_model
from onnxserve_export.rerun import rerun
from onnxserve_export.steps import STEPS
from onnxserve_handlers.inputs.image import ImageOptions
from onnxserve_handlers.signature import InputOptions
from tests.helpers.forged_proof import forged_proof

run = CliRunner()


@pytest.fixture(scope="module")
def dynamic(tmp_path_factory) -> Path:
    """A model whose only variant moves its answers with the batch."""
    folder = new_model("text", "words", tmp_path_factory.mktemp("models"))
    toml = folder / "model.toml"
    toml.write_text(re.sub(r"(?m)^variants = .*$", "variants = ['int8-dynamic']", toml.read_text()))
    return export_model(folder, tmp_path_factory.mktemp("store"), STEPS, lambda _: None).archive


def test_the_proof_repeats_to_the_same_figures_on_the_machine_that_made_it(archive):
    again = rerun(archive)
    assert again.refusal == ""
    assert again.paired.bound == pytest.approx(again.recorded_bound)
    assert again.rows == again.paired.rows > 600


def test_a_graph_that_answers_otherwise_fails_the_repeated_proof(archive, tmp_path):
    members, manifest, _ = contents(archive)
    members["proof.jsonl"] = forged_proof(members["proof.jsonl"])
    forged = tmp_path / archive.name
    write_archive(forged, members, manifest)
    assert "accuracy drop" in rerun(forged).refusal
    result = run.invoke(app, ["archive", "verify", str(forged), "--rerun"])
    assert result.exit_code == 1
    assert "rerun: accuracy drop" in str(result.exception)


def test_the_proof_of_a_former_archive_which_has_the_main_output_alone_is_repeated(archive, tmp_path):
    members, manifest, _ = contents(archive)
    rows = [
        {"input": row.input, "label": row.label, "output": next(iter(row.outputs.values())).array().tolist()}
        for row in proof_rows(members["proof.jsonl"])
    ]
    members["proof.jsonl"] = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    write_archive(tmp_path / archive.name, members, manifest)
    again = rerun(tmp_path / archive.name)
    assert (again.refusal, again.rows) == ("", len(rows))
    assert again.paired.bound == pytest.approx(again.recorded_bound)


def test_an_archive_without_proof_rows_says_so(archive, tmp_path):
    members, manifest, _ = contents(archive)
    members["proof.jsonl"] = b""
    write_archive(tmp_path / archive.name, members, manifest)
    with pytest.raises(ArchiveError, match="carries no proof rows"):
        rerun(tmp_path / archive.name)


def test_verify_tells_the_repeated_proof_to_people_and_machines(archive):
    text = run.invoke(app, ["archive", "verify", str(archive), "--rerun"]).output
    assert "drop at most" in text
    assert "at export" in text
    document = json.loads(run.invoke(app, ["archive", "verify", str(archive), "--rerun", "--json"]).output)
    assert document["rerun"]["rows"] > 600
    assert document["signed"] is False


def test_a_variant_that_moves_with_the_batch_serves_one_row_at_a_time(dynamic, tmp_path):
    assert max_batch(dynamic) == 1
    assert read_config(dynamic)["batchSize"] == 1
    members, _, _ = contents(dynamic)
    evidence = json.loads(members["evidence.json"])
    assert evidence["summary"]["max_batch"] == 1
    assert evidence["summary"]["batch_shift"] > 1e-3
    unpack(dynamic, tmp_path)
    rows = [json.loads(line)["input"] for line in members["proof.jsonl"].splitlines()[:24]]
    together, *alone = outputs(tmp_path, [rows, *([row] for row in rows)])
    assert [row.tolist() for row in together] == [single[0].tolist() for single in alone]  # to the last bit
    assert "one row at a time" in run.invoke(app, ["archive", "explain", str(dynamic)]).output


def test_explain_says_what_was_tried_and_why_this_won(archive):
    text = run.invoke(app, ["archive", "explain", str(archive)]).output
    for word in ("chosen", "int8", "fp32", "95 % confidence", "not signed"):
        assert word in text
    document = json.loads(run.invoke(app, ["archive", "explain", str(archive), "--json"]).output)
    assert document["milliseconds_per_row"]["torch"] > 0
    assert document["why"][0].startswith(document["evidence"]["summary"]["variant"])


def test_explain_without_the_file_beside_says_that_times_are_missing(archive, tmp_path):
    (tmp_path / archive.name).write_bytes(archive.read_bytes())
    assert (
        "Times are not in the archive" in run.invoke(app, ["archive", "explain", str(tmp_path / archive.name)]).output
    )


def test_keys_signatures_and_seals_are_made_from_the_command_line(archive, tmp_path):
    copy = tmp_path / archive.name
    copy.write_bytes(archive.read_bytes())
    key = json.loads(run.invoke(app, ["archive", "keygen", str(tmp_path / "k.pem"), "--json"]).output)
    age = json.loads(run.invoke(app, ["archive", "keygen", str(tmp_path / "age.txt"), "--encryption", "--json"]).output)
    assert run.invoke(app, ["archive", "seal", str(copy), "--to", age["recipient"]]).exit_code == 0
    assert run.invoke(app, ["archive", "sign", str(copy), "--key", key["private"]]).exit_code == 0
    environment = {"ONNXSERVE_IDENTITY": age["private"], "ONNXSERVE_PUBLIC_KEY": key["public"]}
    result = run.invoke(app, ["archive", "verify", str(copy), "--rerun"], env=environment)
    assert result.exit_code == 0, result.output
    assert "the signature" in result.output


def test_labels_without_a_task_are_those_of_the_repeated_proof_too(tmp_path):
    with archived_task(tmp_path, {"output": {"task": "", "labels": ["low", "high"]}}) as hooks:
        assert hooks.signature.labels == ("low", "high")


def test_hooks_of_the_repeated_proof_know_the_options_of_the_rows(tmp_path):
    rows = {"kind": "image", "height": 4, "width": 6}
    signature = {"input": rows, "output": {"task": "segmentation", "labels": ["a", "b"]}}
    with archived_task(tmp_path, signature) as hooks:
        assert hooks.signature.input == ImageOptions(height=4, width=6)
    with archived_task(tmp_path, {**signature, "input": {**rows, "former": 1}}) as hooks:
        assert hooks.signature.input == InputOptions()


@pytest.fixture(scope="module")
def two_targets(tmp_path_factory) -> Path:
    """An archive of a regression with two values, one a million times smaller than the other."""
    folder = new_model("table", "distances", tmp_path_factory.mktemp("models"), "regression")
    code, toml = folder / "model.py", folder / "model.toml"
    scaled = code.read_text().replace("return values\n", "return torch.cat([values * 1e3, values * 1e-3], dim=1)\n")
    code.write_text(scaled.replace("model(features), targets", "model(features)[:, :1] / 1e3, targets"))
    toml.write_text(re.sub(r"(?m)^variants = .*$", 'variants = ["fp32"]', toml.read_text()))
    (folder / "golden.jsonl").unlink()
    return export_model(folder, tmp_path_factory.mktemp("store"), STEPS, lambda _: None).archive


def test_each_value_of_a_regression_has_its_spread_in_the_evidence_and_in_the_repeated_proof(two_targets, tmp_path):
    members, manifest, _ = contents(two_targets)
    large, small = json.loads(members["evidence.json"])["summary"]["spread"]
    assert large / small == pytest.approx(1e6, rel=1e-3)
    assert rerun(two_targets).refusal == ""
    rows = proof_rows(members["proof.jsonl"])
    for number, row in enumerate(rows[: len(rows) // 5]):
        [(name, output)] = row.outputs.items()
        other = output.array() * np.array([1, 1.5], np.float32)
        rows[number] = ProofRow(row.input, row.label, {name: ProofArray.of(other)})
    members["proof.jsonl"] = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    write_archive(tmp_path / two_targets.name, members, manifest)
    again = rerun(tmp_path / two_targets.name)
    assert again.paired.drop == pytest.approx(0.2, abs=0.02)  # though the smaller value alone is another one
    assert again.refusal.startswith("rows that move beyond the tolerance")


def test_spreads_that_fit_no_output_are_told(two_targets, tmp_path):
    members, manifest, _ = contents(two_targets)
    evidence = json.loads(members["evidence.json"])
    evidence["summary"]["spread"] = [1.0, 2.0, 3.0]
    write_archive(tmp_path / two_targets.name, members | {"evidence.json": json.dumps(evidence).encode()}, manifest)
    with pytest.raises(ArchiveError, match="3 spreads for 2 values"):
        rerun(tmp_path / two_targets.name)
