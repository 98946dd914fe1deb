"""`python -m onnxserve.cli.reference PAGE`: write the generated part of a page anew."""

import sys
from pathlib import Path

from .page import page

path = Path(sys.argv[1])
path.write_text(page(path.read_text(encoding="utf-8")), encoding="utf-8")
