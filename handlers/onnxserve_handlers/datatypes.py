"""The Open Inference Protocol's names of element types.

Source: Open Inference Protocol V2, "Tensor Data Types",
https://github.com/kserve/open-inference-protocol.
"""

from __future__ import annotations

NAMES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
}
BYTES = "BYTES"
_BY_DTYPE = {dtype: name for name, dtype in NAMES.items()} | {"object": BYTES}  # numpy's arrays of texts


def datatype(dtype: str) -> str:
    """The protocol's name of a numpy dtype: `float32` is `FP32`. One that the protocol lacks keeps its own."""
    return _BY_DTYPE.get(dtype, dtype)
