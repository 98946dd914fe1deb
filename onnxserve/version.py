"""The version of onnxserve. Modules that the package itself offers read it here, not from the package."""

__version__ = "0.2.0"
