"""What an archive's evidence claims, in every generation of archives."""

import json
from pathlib import Path

import pytest

from onnxserve.archive import contents, write_archive
from onnxserve.archive.evidence import describe_proof, proof_of, read_proof_kind


def with_summary(archive: Path, target: Path, **summary: object) -> Path:
    """A copy of the archive with another summary in its evidence; without any field, with no evidence."""
    members, manifest, _ = contents(archive)
    evidence = json.loads(members.pop("evidence.json"))
    if summary:
        evidence["summary"] |= summary
        members["evidence.json"] = json.dumps(evidence).encode()
    write_archive(target, members, manifest)
    return target


@pytest.mark.parametrize("proof", ["certified", "parity", "unproven"])
def test_an_archive_says_by_which_proof_it_serves(archive, tmp_path, proof):
    assert read_proof_kind(with_summary(archive, tmp_path / "a.mar", proof=proof)) == proof


def test_an_archive_of_an_earlier_version_was_certified_and_one_without_evidence_is_unproven(archive, tmp_path):
    assert proof_of({"variant": "fp32", "bound": 0.01}) == "certified"
    assert read_proof_kind(with_summary(archive, tmp_path / "a.mar")) == "unproven"


def test_a_file_that_cannot_be_read_has_no_proof_to_name(tmp_path):
    (tmp_path / "a.mar").write_bytes(b"no zip")
    assert read_proof_kind(tmp_path / "a.mar") == read_proof_kind(tmp_path / "b.mar") == ""


def test_an_unproven_variant_is_called_so_and_parity_claims_no_more_than_it_compared():
    parity = {"rows": 30, "golden": 2, "generated": 64, "deviation": 1e-7, "changed": 0, "fault": ""}
    text = " ".join(describe_proof({"variant": "fp32", "proof": "parity", "row_parity": parity}))
    assert "answers 30 rows, 2 golden rows and 64 generated ones as its source does" in text
    assert "Nothing is claimed of rows that were not compared." in text
    assert describe_proof({"variant": "w8", "proof": "unproven", "unproven": "about 867 rows would do"}) == [
        "w8 is unproven: about 867 rows would do."
    ]
