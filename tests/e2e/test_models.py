"""The three demo models, asked over HTTP as a client would, on our worker and on TorchServe's own."""

import base64
import json
import threading
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


def golden(model: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (ROOT / "models" / model / "golden.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("model", ["segment", "sentiment", "digits"])
def test_every_golden_row_gets_its_label_alone_and_together(either, model):
    rows = golden(model)
    expected = [row["label"] for row in rows]
    alone = [either.post(model, json.dumps({"instances": [row["input"]]}).encode()) for row in rows]
    assert [answer.json()["predictions"][0]["label"] for answer in alone] == expected
    together = either.post(model, json.dumps({"instances": [row["input"] for row in rows]}).encode())
    assert together.headers["content-type"] == "application/json"
    assert [prediction["label"] for prediction in together.json()["predictions"]] == expected
    assert (together.json()["model"], together.json()["version"]) == (model, "1.0.0")


def test_raw_text_raw_images_and_named_columns_are_read(either):
    assert either.post("sentiment", b"what a lovely day", "text/plain").json()["predictions"][0]["label"] == "positive"
    seven = next(row for row in golden("digits") if row["label"] == "7")
    png = base64.b64decode(seven["input"])
    for kind in ("image/png", "application/octet-stream"):
        assert either.post("digits", png, kind).json()["predictions"][0]["label"] == "7"
    columns = either.release.management.default("segment")
    assert columns == "1.0.0"
    description = describe(either, "segment")
    row = golden("segment")[0]
    named = dict(zip(description["signature"]["input"]["columns"], row["input"], strict=True))
    answer = either.post("segment", json.dumps(named).encode())
    assert answer.json()["predictions"][0]["label"] == row["label"]


def describe(demo, model):
    return demo.get(demo.settings.management, f"/models/{model}?customized=true").json()[0]["customizedMetadata"]


@pytest.mark.parametrize("model", ["segment", "sentiment", "digits"])
def test_describe_tells_signature_evidence_provider_and_threads(either, model):
    description = describe(either, model)
    assert description["signature"]["model"] == model
    assert description["evidence"]["bound"] <= description["evidence"]["budget"]
    assert description["provider"]["name"] == "CPUExecutionProvider"
    assert description["threads"]["intra_op"] >= 1
    assert description["golden_deviation"] >= 0


@pytest.mark.parametrize(
    ("model", "body", "kind", "status"),
    [
        ("sentiment", b'{"text": 3}', "application/json", 422),
        ("sentiment", b"word " * 200, "text/plain", 422),
        ("sentiment", b"x" * 20000, "text/plain", 413),
        ("sentiment", b'{"text": "good"}', "application/x-www-form-urlencoded", 415),
        ("sentiment", b"good", "text/csv", 415),
        ("segment", b"[1, 2", "application/json", 400),
        ("segment", b"[NaN]", "application/json", 400),
        ("segment", b'{"x": 1}', "application/json", 422),
        ("digits", b"\x89PNG broken", "image/png", 400),
        ("digits", b"", "image/png", 400),
    ],
)
def test_a_bad_request_gets_its_status_and_a_reason_in_json(either, model, body, kind, status):
    answer = either.post(model, body, kind)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "model", "version"}
    assert answer.json()["error"]["reason"]
    assert answer.headers["content-type"] == "application/json"


def test_bad_rows_among_concurrent_ones_leave_the_good_ones_at_200(either):
    good = json.dumps(golden("segment")[0]["input"]).encode()
    bodies = [good if number % 3 else b'["bad"]' for number in range(90)]
    statuses = [0] * len(bodies)

    def send(number: int) -> None:
        statuses[number] = either.post("segment", bodies[number]).status_code

    threads = [threading.Thread(target=send, args=(number,)) for number in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == [200 if number % 3 else 422 for number in range(len(bodies))]


def test_prometheus_counts_requests_by_model_and_version(either):
    either.post("segment", json.dumps(golden("segment")[0]["input"]).encode())
    text = either.get(either.settings.metrics, "/metrics").text
    assert 'ts_inference_requests_total{model_name="segment"' in text


def test_tensors_of_the_open_inference_protocol_go_in_and_out(either):
    rows = golden("segment")[:3]
    values = np.array([row["input"] for row in rows], "<f4")
    tensor = {"name": "features", "shape": list(values.shape), "datatype": "FP32"}
    document = {"id": "a", "inputs": [{**tensor, "data": values.ravel().tolist()}], "outputs": [{"name": "label"}]}
    answer = either.post("segment", json.dumps(document).encode())
    assert answer.json()["outputs"][0]["data"] == [row["label"] for row in rows]

    binary = {**tensor, "parameters": {"binary_data_size": values.nbytes}}
    head = json.dumps({"inputs": [binary], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    with either.settings.inference.client(60, headers) as client:
        answer = client.post("/predictions/segment", content=head + values.tobytes())
    size = int(answer.headers["Inference-Header-Content-Length"])
    outputs = json.loads(answer.content[:size])["outputs"]
    assert [output["name"] for output in outputs][1:] == ["label", "score"]
    logits = np.frombuffer(answer.content, "<f4", 3 * 7, offset=size).reshape(3, 7)
    labels = describe(either, "segment")["signature"]["output"]["labels"]
    assert [labels[index] for index in logits.argmax(-1)] == [row["label"] for row in rows]


def test_a_bad_tensor_is_told_in_the_protocols_form(either):
    document = {"inputs": [{"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}
    answer = either.post("segment", json.dumps(document).encode())
    assert answer.status_code == 422
    assert "expected ('batch', 18)" in answer.json()["error"]
