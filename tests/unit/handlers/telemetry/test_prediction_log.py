"""The prediction log's writer, in a process of its own as in a worker."""

import subprocess
import sys

WRITE = """
import os, sys
os.environ["ONNXSERVE_PREDICTIONS"] = '{"folder": "%s", "percent": 100}'
from onnxserve_handlers.registry import task_alone
from onnxserve_handlers.telemetry.prediction_log import make_prediction_log
from tests.helpers.kinds import table_signature
log = make_prediction_log(task_alone("classification", table_signature("x")))
log._write([])
print("pandas" in sys.modules, len(list(log._folder.glob("*.parquet"))))
"""


def test_segments_are_written_without_pandas(tmp_path):
    completed = subprocess.run([sys.executable, "-c", WRITE % tmp_path], capture_output=True, text=True, check=False)
    assert completed.stdout.split() == ["False", "1"], completed.stderr
