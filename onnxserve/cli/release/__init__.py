"""`onnxserve release`: roles and versions of a running server."""
