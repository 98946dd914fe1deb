"""`onnxserve tune`: commands that measure on this machine."""
