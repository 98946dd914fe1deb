#!/usr/bin/env python
"""Turn a torch model into a proven, quantised ONNX archive: `python export/export.py models/digits`."""

import sys

from onnxserve_export.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
