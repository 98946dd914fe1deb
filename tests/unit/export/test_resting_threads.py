"""Waiting threads sleep: those of sessions that tools open, and torch's."""

import os
import subprocess
import sys

import onnxruntime as ort
import pytest

from onnxserve_export.resting_threads import resting_threads

SPINNING = "session.intra_op.allow_spinning"


def test_sessions_that_are_opened_meanwhile_do_not_spin_and_later_ones_are_as_before():
    before = ort.SessionOptions
    with resting_threads():
        assert ort.SessionOptions().get_session_config_entry(SPINNING) == "0"
    assert ort.SessionOptions is before
    with pytest.raises(RuntimeError, match="does not have configuration"):
        ort.SessionOptions().get_session_config_entry(SPINNING)


def test_they_are_as_before_after_a_failure_too():
    before = ort.SessionOptions
    with pytest.raises(ValueError, match="no graph"), resting_threads():
        raise ValueError("no graph")
    assert ort.SessionOptions is before


@pytest.mark.parametrize(("given", "policy"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_torchs_threads_sleep_unless_the_environment_says_otherwise(given, policy):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": given} if given else {}
    code = "import os, onnxserve_export; print(os.environ['OMP_WAIT_POLICY'])"
    completed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert completed.stdout.strip() == policy
