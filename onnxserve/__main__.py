"""`python -m onnxserve` is `onnxserve`."""

from .cli.app import main

main()
