"""Messages of the Open Inference Protocol's gRPC service, as far as a model reads them.

Source: https://github.com/kserve/open-inference-protocol, specification/protocol/open_inference_grpc.proto.
"""

from __future__ import annotations

from .protobuf import BOOL, BYTES, DOUBLE, FLOAT, INT32, INT64, TEXT, UINT32, UINT64, Field, Message

# Nothing that parameters say is read here; they are known so that broken ones are refused.
PARAMETER = Message({1: Field("key", TEXT), 2: Field("value", Message({3: Field("string_param", TEXT)}))})
PARAMETERS = Field("parameters", PARAMETER, repeated=True)
CONTENTS = Message(
    {
        1: Field("bool_contents", BOOL, repeated=True),
        2: Field("int_contents", INT32, repeated=True),
        3: Field("int64_contents", INT64, repeated=True),
        4: Field("uint_contents", UINT32, repeated=True),
        5: Field("uint64_contents", UINT64, repeated=True),
        6: Field("fp32_contents", FLOAT, repeated=True),
        7: Field("fp64_contents", DOUBLE, repeated=True),
        8: Field("bytes_contents", BYTES, repeated=True),
    }
)
INPUT = Message(
    {
        1: Field("name", TEXT),
        2: Field("datatype", TEXT),
        3: Field("shape", INT64, repeated=True),
        4: PARAMETERS,
        5: Field("contents", CONTENTS),
    }
)
REQUEST = Message(
    {
        1: Field("model_name", TEXT),
        2: Field("model_version", TEXT),
        3: Field("id", TEXT),
        4: PARAMETERS,
        5: Field("inputs", INPUT, repeated=True),
        6: Field("outputs", Message({1: Field("name", TEXT), 2: PARAMETERS}), repeated=True),
        7: Field("raw_input_contents", BYTES, repeated=True),
    }
)
CONTENTS_OF = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
}
