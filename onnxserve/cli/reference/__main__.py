"""`python -m onnxserve.cli.reference PAGE...`: write the generated parts of pages anew."""

import sys
from pathlib import Path

from .page import page

for path in map(Path, sys.argv[1:]):
    path.write_text(page(path.read_text(encoding="utf-8"), path.name), encoding="utf-8")
