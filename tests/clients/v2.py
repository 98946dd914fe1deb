"""V2 over HTTP by Triton's client, over both by KServe's; prints what was not as it must be.

Cases: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md.
"""

import asyncio
import json
import sys
from pathlib import Path

import numpy as np
import tritonclient.http as triton
from given import address, expect, golden, labels, status_of, wrong
from google.protobuf import descriptor_pb2
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.inference_client import InferenceGRPCClient
from kserve.protocol.grpc import grpc_predict_v2_pb2

service = Path(sys.argv[3]).read_bytes()  # the messages of a call, a FileDescriptorSet


def tensor(rows: list[list[float]], binary: bool) -> triton.InferInput:
    tensor = triton.InferInput("features", [len(rows), 18], "FP32")
    tensor.set_data_from_numpy(np.array(rows, np.float32), binary_data=binary)
    return tensor


def by_triton(client: triton.InferenceServerClient) -> None:
    expect("live", client.is_server_live())
    expect("ready", client.is_server_ready())
    expect("server metadata", {"name", "version", "extensions"} <= set(client.get_server_metadata()))
    for model in ("segment", "sentiment"):
        expect(f"{model} ready", client.is_model_ready(model))
        expect(f"{model} 1.0.0 ready", client.is_model_ready(model, "1.0.0"))
        about = client.get_model_metadata(model)
        expect(f"{model} metadata", {"name", "versions", "platform", "inputs", "outputs"} <= set(about))
        expect(f"{model} tensors", all({"name", "datatype", "shape"} <= set(tensor) for tensor in about["inputs"]))
    expect("unknown model is not ready", not client.is_model_ready("nobody"))
    rows, expected = golden["segment"]["inputs"], golden["segment"]["labels"]
    for binary_input in (False, True):
        for binary_output in (False, True):
            outputs = [triton.InferRequestedOutput(name, binary_data=binary_output) for name in ("label", "score")]
            answer = client.infer("segment", [tensor(rows, binary_input)], outputs=outputs, request_id="mine")
            expect(f"labels, binary {binary_input} and {binary_output}", labels(answer) == expected)
            expect("shape of scores", answer.as_numpy("score").shape == (len(rows),))
            expect("scores", bool((answer.as_numpy("score") > 0).all()))
            expect("id", answer.get_response()["id"] == "mine")
            expect("name and version", answer.get_response()["model_name"] == "segment")
    every = client.infer("segment", [tensor(rows, True)], model_version="1.0.0")
    expect("all outputs by default", len(every.get_response()["outputs"]) >= 3)
    texts = triton.InferInput("text", [len(golden["sentiment"]["inputs"])], "BYTES")
    for binary in (False, True):
        values = np.array([text.encode() for text in golden["sentiment"]["inputs"]], np.object_)
        texts.set_data_from_numpy(values, binary_data=binary)
        expect(f"texts, binary {binary}", labels(client.infer("sentiment", [texts])) == golden["sentiment"]["labels"])


def refused(client: triton.InferenceServerClient) -> None:
    """Errors are the protocol's, with a status of the caller's."""
    rows = golden["segment"]["inputs"]
    flags = triton.InferInput("features", [1, 18], "BOOL")
    flags.set_data_from_numpy(np.ones((1, 18), np.bool_))
    narrow = triton.InferInput("features", [1, 3], "FP32")
    narrow.set_data_from_numpy(np.ones((1, 3), np.float32))
    other = triton.InferInput("unknown", [1, 18], "FP32")
    other.set_data_from_numpy(np.ones((1, 18), np.float32))
    cases = {
        "datatype": lambda: client.infer("segment", [flags]),
        "shape": lambda: client.infer("segment", [narrow]),
        "input's name": lambda: client.infer("segment", [other]),
        "output's name": lambda: client.infer(
            "segment", [tensor(rows, True)], outputs=[triton.InferRequestedOutput("nothing")]
        ),
        "model": lambda: client.infer("nobody", [tensor(rows, True)]),
        "version": lambda: client.infer("segment", [tensor(rows, True)], model_version="9.9.9"),
    }
    for what, call in cases.items():
        status = status_of(call)
        expect(f"status for a wrong {what}: {status}", status.startswith("4"))


TRITONS = ("double_param", "uint64_param")  # of a parameter


def same_messages() -> None:
    """Every message and method of ours is KServe's, but for two fields that are Triton's alone."""
    ours = descriptor_pb2.FileDescriptorSet.FromString(service).file[-1]
    upstream = descriptor_pb2.FileDescriptorProto.FromString(grpc_predict_v2_pb2.DESCRIPTOR.serialized_pb)
    for kind in (ours, upstream):
        for message in kind.message_type:
            for field in [*message.field, *(field for inner in message.nested_type for field in inner.field)]:
                field.ClearField("json_name")
    known = {declared.name: declared for declared in upstream.message_type}
    for message in ours.message_type:
        own_fields, other = (sorted(fields_of(declared)) for declared in (message, known[message.name]))
        own_fields = [field for field in own_fields if not any(f'"{name}"' in field for name in TRITONS)]
        expect(f"message {message.name}: {own_fields} and {other}", own_fields == other)
    methods = {method.name: (method.input_type, method.output_type) for method in upstream.service[0].method}
    expect(
        "methods",
        all(methods[method.name] == (method.input_type, method.output_type) for method in ours.service[0].method),
    )


def fields_of(message: descriptor_pb2.DescriptorProto) -> list[str]:
    """Fields of a message and of those within, as text."""
    inner = [field for nested in message.nested_type for field in fields_of(nested)]
    return [*(f"{message.name}: {field}" for field in message.field), *inner]


async def called_by_kserve() -> None:
    client = InferenceGRPCClient(address)
    expect("KServe call: live", await client.is_server_live())
    expect("KServe call: ready", await client.is_server_ready())
    expect("KServe call: model", await client.is_model_ready("segment"))
    rows, expected = np.array(golden["segment"]["inputs"], np.float32), golden["segment"]["labels"]
    for raw in (False, True):
        tensor = InferInput("features", list(rows.shape), "FP32")
        tensor.set_data_from_numpy(rows, binary_data=raw)
        answer = await client.infer(InferRequest(model_name="segment", infer_inputs=[tensor]))
        outputs = {output.name: output for output in answer.outputs}
        labels = [
            label.decode() if isinstance(label, bytes) else label for label in outputs["label"].as_numpy().tolist()
        ]
        expect(f"KServe call: labels, raw {raw}", labels == expected)
    await client.close()


async def by_kserve() -> None:
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    base = f"http://{address}"
    expect("KServe: live", await client.is_server_live(base))
    expect("KServe: ready", await client.is_server_ready(base))
    expect("KServe: model", await client.is_model_ready(base, "segment"))
    rows, expected = np.array(golden["segment"]["inputs"], np.float32), golden["segment"]["labels"]
    for binary in (False, True):
        tensor = InferInput("features", list(rows.shape), "FP32")
        tensor.set_data_from_numpy(rows, binary_data=binary)
        answer = await client.infer(base, InferRequest(model_name="segment", infer_inputs=[tensor]), "segment")
        outputs = {output.name: output for output in answer.outputs}
        labels = [
            label.decode() if isinstance(label, bytes) else label for label in outputs["label"].as_numpy().tolist()
        ]
        expect(f"KServe: labels, binary {binary}", labels == expected)
    await client.close()


with triton.InferenceServerClient(address) as client:
    by_triton(client)
    refused(client)
asyncio.run(by_kserve())
asyncio.run(called_by_kserve())
same_messages()
print(json.dumps(wrong))
