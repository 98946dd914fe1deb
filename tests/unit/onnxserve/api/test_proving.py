"""The proof of an archive, repeated from a program."""

from __future__ import annotations

import pytest

import onnxserve
from onnxserve.archive import contents, make_key, write_archive
from onnxserve.errors import ArchiveError, CheckFailed
from tests.helpers.forged_proof import forged_proof


def test_an_archive_that_answers_otherwise_than_its_proof_says_is_refused(archive, tmp_path):
    members, manifest, _ = contents(archive)
    members["proof.jsonl"] = forged_proof(members["proof.jsonl"])
    forged = tmp_path / archive.name
    write_archive(forged, members, manifest)
    with pytest.raises(CheckFailed, match="accuracy drop") as caught:
        onnxserve.prove(forged)
    assert (caught.value.step, caught.value.where) == ("rerun", str(forged))


def test_nothing_of_it_runs_before_its_signature_is_checked(archive, tmp_path):
    with pytest.raises(ArchiveError, match="not signed"):
        onnxserve.prove(archive, public_keys=[make_key(tmp_path / "ours.pem")])
