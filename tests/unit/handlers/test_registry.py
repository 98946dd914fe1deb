"""Whoever asks the registry for a kind or a task pays for its module alone."""

import subprocess
import sys

ASK = """
import sys
from onnxserve_handlers.registry import KINDS, TASKS, input_kind, task
print(len([input_kind(name) for name in KINDS] + [task(name) for name in TASKS]))
print("onnxruntime" in sys.modules)
import onnxserve_handlers.composition
print("onnxruntime" in sys.modules)
"""


def test_kinds_and_tasks_load_no_onnx_runtime_and_the_composition_does():
    asking = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    count, by_registry, by_composition = asking.stdout.split()
    assert int(count) == 14
    assert (by_registry, by_composition) == ("False", "True")
