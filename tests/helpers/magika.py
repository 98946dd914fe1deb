"""magika's graph as its package has it, behind a handler of a user's own: the type of a file by its bytes.

The features are those of https://github.com/google/magika, version 1.0: 1,024 bytes from the file's begin and as many
from its end, without white space outside, and 256 where the file is shorter.
"""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime as ort

from onnxserve.locations.fetch import open_access
from onnxserve.locations.packages import PackageFile, fetch_package

WHEEL = PackageFile(
    "magika",
    "1.0.3",
    "magika-1.0.3-py3-none-any.whl",
    "938d8e033953f2ddeb8c35dc423aa289ca116bfa7a71a778f6e77460f9025803",
)
MODEL = "magika/models/standard_v3_3"
BLOCK, SIDE, PADDING = 4096, 1024, 256
FILES = {
    "python": b"import os\n\n\ndef main(path):\n    for name in os.listdir(path):\n        print(name)\n\n\nmain('.')\n"
    * 3,
    "json": json.dumps({"name": "Ada", "born": 1815, "tags": ["number", "engine"]}, indent=2).encode() * 2,
    "html": b"<!doctype html>\n<html><head><title>a page</title></head><body><p>words</p></body></html>\n" * 3,
    "c": b'#include <stdio.h>\n\nint main(void) {\n    printf("%d\\n", 42);\n    return 0;\n}\n' * 4,
    "csv": b"id,name,score\n" + b"".join(b"%d,row%d,%d\n" % (n, n, n * n) for n in range(40)),
}
HANDLER = '''
import base64

import numpy as np

from .errors import InvalidRow
from .handler import Handler
from .inputs import EncodedInput

BLOCK, SIDE, PADDING = 4096, 1024, 256
LEAST = 8  # bytes: magika itself asks its model about no shorter file


class FileType(EncodedInput, Handler):
    """Files, as raw bytes or in base64, to their types."""

    row_keys = ("file", "data")

    def raw(self, content):
        return True

    def check(self, instance, where):
        content = bytes(self.content(instance, where))
        if len(content.strip()) < LEAST:
            raise InvalidRow(f"the file has fewer than {LEAST} bytes", where=where)
        row = np.full(2 * SIDE, PADDING, np.int32)
        begin, end = content[:BLOCK].lstrip()[:SIDE], content[-BLOCK:].rstrip()[-SIDE:]
        row[: len(begin)] = np.frombuffer(begin, np.uint8)
        row[2 * SIDE - len(end) :] = np.frombuffer(end, np.uint8)
        return row

    def tensors(self, rows):
        return {"bytes": np.stack(rows)}

    def sample(self, draws):
        return base64.b64encode(draws.bytes(int(draws.integers(100, 5000)))).decode()
'''
CODE = f"""
import base64
import random

import onnx

FILES = {FILES!r}


def rows():
    draws = random.Random(3)
    parts = [*FILES.values()]
    contents = [draws.choice(parts)[: draws.randint(100, 300)] * draws.randint(1, 9) for _ in range(60)]
    return [(base64.b64encode(content).decode(), None) for content in contents]


def load(sources):
    return onnx.load(sources["magika"] / "{MODEL}" / "model.onnx")
"""


@cache
def package() -> Path:
    """Return the unpacked package."""
    return fetch_package(WHEEL, open_access(offline=False, say=lambda _: None)) / MODEL


@cache
def labels() -> list[str]:
    """Return the labels in the order of the graph's outputs."""
    names: list[str] = json.loads((package() / "config.min.json").read_text())["target_labels_space"]
    return names


def write_model(folder: Path) -> Path:
    """Write a model folder that takes the graph from the registry."""
    folder.mkdir(parents=True)
    entry = {"name": "magika", **WHEEL._asdict()}
    sources = "".join(f"{name} = {json.dumps(value)}\n" for name, value in entry.items())
    (folder / "handler.py").write_text(HANDLER)
    (folder / "model.py").write_text(CODE)
    (folder / "model.toml").write_text(
        'name = "file-types"\nversion = "1.0.0"\nsource = "model.py:load"\nrows = "model.py:rows"\n'
        f'handler = "handler.py:FileType"\n\n[[sources]]\n{sources}\n[input]\nmax_bytes = 1000000\n\n'
        f'[output]\ntask = "classification"\nlabels = {json.dumps(labels())}\n\n[quantise]\nvariants = ["fp32"]\n'
    )
    golden = [{"input": base64.b64encode(FILES[name]).decode()} for name in ("python", "html")]
    (folder / "golden.jsonl").write_text("".join(json.dumps(row) + "\n" for row in golden))
    return folder


def expected(content: bytes) -> tuple[str, float]:
    """Return label and score of a file by the package's graph alone."""
    begin = [*content[:BLOCK].lstrip()][:SIDE]
    end = [*content[-BLOCK:].rstrip()][-SIDE:]
    row = begin + [PADDING] * (2 * SIDE - len(begin) - len(end)) + end
    session = ort.InferenceSession(package() / "model.onnx", providers=["CPUExecutionProvider"])
    [[scores]] = session.run(None, {"bytes": np.array([row], np.int32)})
    return labels()[int(scores.argmax())], float(scores.max())
