"""Compare onnxserve with other servers in one run on one machine."""
