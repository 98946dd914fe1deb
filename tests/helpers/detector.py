"""A detector with seeded weights as a ready graph: three outputs, and as many boxes as the picture has objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from tests.helpers.import_command import FP32, Words, pictures, sets, write_files
from tests.helpers.photos import viewed

SIZE, CELL, LEAST = 16, 4, 0.5
LABELS = ("cat", "dog")


def detector() -> onnx.ModelProto:
    """Return the graph: each cell of 4 x 4 pixels has a box, and boxes whose score is above LEAST are given."""
    draws = np.random.default_rng(12)
    cells = SIZE // CELL
    places = (np.arange(cells) + 0.5) * CELL
    x, y = np.meshgrid(places, places)
    usual = np.stack([x.ravel(), y.ravel(), np.full(x.size, 6), np.full(x.size, 6)], axis=1)
    constants = {
        "weights": draws.normal(0, 0.3, (6, 1, CELL, CELL)).astype(np.float32),
        "usual": usual[None].astype(np.float32),
        "flat": np.array([0, 6, cells * cells]),
        "parts": np.array([4, 2]),
        "least": np.float32(LEAST),
        "none": np.float32(0),
        "one": np.array([1]),
        "last": np.array([2]),
        "four": np.array([1, 1, 4]),
    }
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "weights"], ["maps"], strides=[CELL, CELL]),
        node("Reshape", ["maps", "flat"], ["flattened"]),
        node("Transpose", ["flattened"], ["cells"], perm=[0, 2, 1]),
        node("Split", ["cells", "parts"], ["offsets", "logits"], axis=2),
        node("Add", ["offsets", "usual"], ["every_box"]),
        node("Sigmoid", ["logits"], ["each"]),
        node("ReduceMax", ["each"], ["best"], axes=[2], keepdims=0),
        node("ArgMax", ["logits"], ["number"], axis=2, keepdims=0),
        node("Greater", ["best", "least"], ["above"]),
        node("Cast", ["above"], ["counted"], to=TensorProto.INT64),
        node("ReduceSum", ["counted", "one"], ["counts"], keepdims=0),
        node("ReduceMax", ["counts"], ["most"], keepdims=1),
        node("Max", ["most", "one"], ["count"]),
        node("TopK", ["best", "count"], ["top", "order"], axis=1),
        node("Greater", ["top", "least"], ["kept"]),
        node("Cast", ["kept"], ["kept_number"], to=TensorProto.INT64),
        node("Unsqueeze", ["kept", "last"], ["kept_box"]),
        node("Where", ["kept", "top", "none"], ["scores"]),
        node("GatherElements", ["number", "order"], ["numbers"], axis=1),
        node("Mul", ["numbers", "kept_number"], ["labels"]),
        node("Unsqueeze", ["order", "last"], ["places"]),
        node("Tile", ["places", "four"], ["box_places"]),
        node("GatherElements", ["every_box", "box_places"], ["sorted"], axis=1),
        node("Where", ["kept_box", "sorted", "none"], ["boxes"]),
    ]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, SIZE, SIZE])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["batch", "count", 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", "count"]),
            helper.make_tensor_value_info("labels", TensorProto.INT64, ["batch", "count"]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def command(work: Path) -> Words:
    """Write the graph, and pictures as rows."""
    onnx.save(detector(), work / "detector.onnx")
    levels = sets(input__mean=127, input__std=128)
    boxes = sets(
        output__layout="separate",
        output__first_label=0,
        output__box="cxcywh",
        output__threshold=LEAST,
        output__max_overlap=1,
    )
    words = ("--kind", "image", "--task", "detection", "--labels", ",".join(LABELS))
    rows = ("--rows", write_files(work / "scenes", pictures()))
    return ("import", "detector.onnx", "detector", *words, *rows, *levels, *boxes, *FP32)


def expected(content: bytes) -> list[dict[str, Any]]:
    """Return the objects of a picture by the source graph alone, in the picture's pixels."""
    image = viewed(content).convert("L")
    pixels = np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR), np.float32)
    session = ort.InferenceSession(detector().SerializeToString(), providers=["CPUExecutionProvider"])
    [boxes], [scores], [labels] = session.run(None, {"image": ((pixels - 127) / 128)[None, None]})
    objects = []
    for (x, y, width, height), score, label in zip(boxes, scores, labels, strict=True):
        if score > 0:
            corners = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
            scale = np.array([image.width, image.height] * 2)
            box = np.clip(corners / SIZE * scale, 0, scale)
            objects.append({"label": LABELS[label], "score": float(score), "box": box.tolist()})
    return objects


def same(prediction: Any, objects: list[dict[str, Any]]) -> bool:
    """Return whether a prediction has these objects."""
    pairs = list(zip(prediction["objects"], objects, strict=False))
    return len(prediction["objects"]) == len(objects) and all(
        own["label"] == other["label"]
        and abs(own["score"] - other["score"]) < 1e-4
        and np.allclose(own["box"], other["box"], atol=0.05)
        for own, other in pairs
    )
