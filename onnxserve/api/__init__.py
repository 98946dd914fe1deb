"""The Python API, whose names `onnxserve` offers: export, open, prove and serve archives from a program."""
