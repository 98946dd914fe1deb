"""One export of a draft in a process of its own, which imports the edited code anew.

Run by path as `python -P export_process.py FOLDER STORE VERSION RESULT TRUST`; TRUST is empty unless pickles may be
read. The file RESULT gets the error's text, which is empty if the store has the draft.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from onnxserve.disk import replace_file
from onnxserve.errors import OnnxserveError


def main(arguments: list[str]) -> int:
    """Export and write the result; return 1 if the export failed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that temporary files are removed
    folder, store, version, result, trust = arguments
    error = export_draft(Path(folder), Path(store), version, trust=bool(trust))
    replace_file(Path(result), error.encode())
    return 1 if error else 0


def export_draft(folder: Path, store: Path, version: str, *, trust: bool) -> str:
    """Export fp32 alone, for development; return why that failed, or an empty text."""
    try:
        from onnxserve_export.export import export_model
        from onnxserve_export.options import ExportOptions
        from onnxserve_export.steps import STEPS
    except ModuleNotFoundError as error:
        return str(OnnxserveError(f"{error.name} is not installed", fix="pip install 'onnxserve[export]'"))
    options = ExportOptions(unproven=True, draft=True, replace=True, trust=trust, development_version=version)
    try:
        export_model(folder, store, STEPS, print, options=options)
    except OnnxserveError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
