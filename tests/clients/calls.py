"""V2 over gRPC by Triton's client; prints what was not as it must be.

In a process of its own: its messages and KServe's have the same names.
"""

import json

import numpy as np
import tritonclient.grpc as triton
from given import address, expect, golden, labels, status_of, wrong


def tensor(rows: list[list[float]]) -> triton.InferInput:
    tensor = triton.InferInput("features", [len(rows), 18], "FP32")
    tensor.set_data_from_numpy(np.array(rows, np.float32))
    return tensor


def by_triton(client: triton.InferenceServerClient) -> None:
    """The same over gRPC."""
    expect("live", client.is_server_live())
    expect("ready", client.is_server_ready())
    expect("server metadata", client.get_server_metadata().name == "onnxserve")
    for model in ("segment", "sentiment"):
        expect(f"{model} ready", client.is_model_ready(model) and client.is_model_ready(model, "1.0.0"))
        about = client.get_model_metadata(model)
        expect(f"{model} metadata", about.name == model and all(tensor.datatype for tensor in about.inputs))
    expect("unknown model is not ready", not client.is_model_ready("nobody"))
    rows, expected = golden["segment"]["inputs"], golden["segment"]["labels"]
    outputs = [triton.InferRequestedOutput(name) for name in ("label", "score")]
    answer = client.infer("segment", [tensor(rows)], outputs=outputs, request_id="mine")
    expect("labels", labels(answer) == expected)
    expect("scores", answer.as_numpy("score").shape == (len(rows),) and bool((answer.as_numpy("score") > 0).all()))
    expect("id and names", (answer.get_response().id, answer.get_response().model_name) == ("mine", "segment"))
    every = client.infer("segment", [tensor(rows)], model_version="1.0.0")
    expect("all outputs by default", len(every.get_response().outputs) >= 3)
    graph_output = every.get_response().outputs[0].name
    ranked = triton.InferRequestedOutput(graph_output, class_count=2)
    best = client.infer("segment", [tensor(rows)], outputs=[ranked], parameters={"unknown": 1.5})
    named = [[text.decode().split(":")[2] for text in row] for row in best.as_numpy(graph_output)]
    expect("ranked labels", [len(row) for row in named] == [2] * len(rows) and [row[0] for row in named] == expected)
    texts = triton.InferInput("text", [len(golden["sentiment"]["inputs"])], "BYTES")
    texts.set_data_from_numpy(np.array([text.encode() for text in golden["sentiment"]["inputs"]], np.object_))
    expect("texts", labels(client.infer("sentiment", [texts])) == golden["sentiment"]["labels"])


def refused(client: triton.InferenceServerClient) -> None:
    """Errors are gRPC's, with a status of the caller's."""
    rows = golden["segment"]["inputs"]
    narrow = triton.InferInput("features", [1, 3], "FP32")
    narrow.set_data_from_numpy(np.ones((1, 3), np.float32))
    other = triton.InferInput("unknown", [1, 18], "FP32")
    other.set_data_from_numpy(np.ones((1, 18), np.float32))
    good, unknown = [tensor(rows)], [triton.InferRequestedOutput("nothing")]
    cases = {
        "shape": ("INVALID_ARGUMENT", lambda: client.infer("segment", [narrow])),
        "input's name": ("INVALID_ARGUMENT", lambda: client.infer("segment", [other])),
        "output's name": ("INVALID_ARGUMENT", lambda: client.infer("segment", good, outputs=unknown)),
        "parameter": ("INVALID_ARGUMENT", lambda: client.infer("segment", good, parameters={"top_k": -1})),
        "model": ("NOT_FOUND", lambda: client.infer("nobody", good)),
        "version": ("NOT_FOUND", lambda: client.infer("segment", good, model_version="9.9.9")),
    }
    for what, (status, call) in cases.items():
        status_name = status_of(call)
        expect(f"status for a wrong {what}: {status_name}", status_name == f"StatusCode.{status}")


with triton.InferenceServerClient(address) as client:
    by_triton(client)
    refused(client)
print(json.dumps(wrong))
