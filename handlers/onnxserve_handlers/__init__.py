"""What runs inside a TorchServe worker; copied whole into every archive."""

import os

# ONNX Runtime's own wheels send usage to their maker unless this says otherwise before they are imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
