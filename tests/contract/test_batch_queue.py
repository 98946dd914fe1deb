"""The plugin's queue in a JVM without a server; `torchserve/batching-plugin/test` says what must hold."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from compile_plugin import HERE, compile_classes, frontend_jar

DEADLINE_S = 300
QUEUE = "java/util/concurrent/LinkedBlockingDeque"
JAVAP = shutil.which("javap")
pytestmark = pytest.mark.skipif(JAVAP is None, reason="compiling the plugin needs a JDK")


def rules() -> list[str]:
    """All checks, as `class.method`."""
    pattern = re.compile(r"^    static void (\w+)\(\)", re.MULTILINE)
    sources = sorted((HERE / "test").rglob("*Checks.java"))
    return [f"{source.stem}.{name}" for source in sources for name in pattern.findall(source.read_text())]


@pytest.fixture(scope="module")
def classes(tmp_path_factory) -> Path:
    """The plugin and its checks, compiled together."""
    folder: Path = tmp_path_factory.mktemp("classes")
    compile_classes("javac", folder, HERE / "src", HERE / "test")
    return folder


@pytest.fixture(scope="module")
def output(classes) -> str:
    """What one JVM printed that ran all rules."""
    path = os.pathsep.join([str(classes), str(frontend_jar())])
    command = ["java", "-XX:TieredStopAtLevel=1", "-cp", path, "onnxserve.Checks", *rules()]
    result = subprocess.run(command, timeout=DEADLINE_S, capture_output=True, text=True, check=True)
    return result.stdout + result.stderr


@pytest.mark.parametrize("rule", rules())
def test_the_queue_keeps_its_rule(output, rule):
    assert f"{rule} holds\n" in output, output


def disassembled(*arguments: str | Path) -> str:
    assert JAVAP
    return subprocess.run([JAVAP, "-p", *arguments], capture_output=True, text=True, check=True).stdout


def test_torchserve_calls_nothing_of_a_models_queue_that_the_plugin_leaves_to_the_list_beneath(classes, tmp_path):
    with zipfile.ZipFile(frontend_jar()) as jar:
        model = jar.extract("org/pytorch/serve/wlm/Model.class", tmp_path)
    called = set(re.findall(rf"Method {QUEUE}\.(\w+:\S+)", disassembled("-c", model)))
    members = disassembled("-s", classes / "onnxserve" / "BatchQueue.class")
    methods = re.findall(r"(\w+)\([^)]*\)[^;\n]*;\n\s+descriptor: (\S+)", members)
    assert "offer:(Ljava/lang/Object;)Z" in called
    assert called <= {f"{name}:{signature}" for name, signature in methods}
