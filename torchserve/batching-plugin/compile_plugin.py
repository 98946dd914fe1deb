"""Compile `src` to `plugins/onnxserve-batching.jar`; without a JDK, print a message and exit with 0.

`python compile_plugin.py [FOLDER]`
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
JAR = "onnxserve-batching.jar"
SERVICE = "META-INF/services/org.pytorch.serve.servingsdk.ModelServerEndpoint"
EPOCH = (1980, 1, 1, 0, 0, 0)


def frontend_jar() -> Path:
    """Return the path of TorchServe's own jar, which the plugin is compiled against."""
    spec = find_spec("ts")
    if spec is None or spec.origin is None:
        sys.exit("torchserve is not installed\n  fix:   pip install torchserve==0.12.0")
    return Path(spec.origin).parent / "frontend" / "model-server.jar"


def compile_classes(javac: str, folder: Path, *sources_under: Path) -> None:
    """Compile all sources below `sources_under` into `folder`, for Java 11 like TorchServe itself."""
    sources = [str(path) for under in sources_under for path in sorted(under.rglob("*.java"))]
    options = ["--release", "11", "-Xlint:all,-processing,-classfile", "-Werror", "-cp", str(frontend_jar())]
    subprocess.run([javac, *options, "-d", str(folder), *sources], check=True)


def pack(classes: Path, target: Path) -> None:
    """Write a reproducible jar: the same classes give the same bytes."""
    members = {str(path.relative_to(classes)): path.read_bytes() for path in sorted(classes.rglob("*.class"))}
    members[SERVICE] = b"onnxserve.Batching\n"
    partial = target.with_suffix(".part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as jar:
        for name, content in sorted(members.items()):
            jar.writestr(zipfile.ZipInfo(name, EPOCH), content)
    partial.replace(target)  # a running server has the old file open


def main() -> None:
    """Build into FOLDER, by default the `plugins` folder next to this file."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "plugins"
    javac = shutil.which("javac")
    if javac is None:
        print(
            "no JDK (javac): the batching plugin is not built; a lone request waits for maxBatchDelay, "
            "and clients share unfairly"
        )
        return
    with tempfile.TemporaryDirectory() as classes:
        compile_classes(javac, Path(classes), HERE / "src")
        pack(Path(classes), target / JAR)
    print(target / JAR)


if __name__ == "__main__":
    main()
