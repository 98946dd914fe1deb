"""The code that runs inside a TorchServe worker; every archive carries a whole copy of this package."""

import os

# ONNX Runtime's own wheels send usage data to their maker unless this variable is set before the import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
