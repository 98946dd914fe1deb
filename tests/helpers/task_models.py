"""A small model of each task, over every kind of input, whose outputs can be worked out by hand, and rows for it.

Each is a ready graph and a definition, so a test may export it, or put the parts together in this process.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers

from onnxserve.definition import read_definition
from onnxserve_export.package import tensors_of
from onnxserve_handlers.composition import bases
from onnxserve_handlers.handler import Handler
from onnxserve_handlers.outputs import free_axes
from onnxserve_handlers.runtime.session import CPU, Provider, Session
from onnxserve_handlers.signature import Signature, Tensor
from tests.helpers.photos import saved
from tests.helpers.sounds import saved as saved_sound

WORDS = ("[PAD]", "[UNK]", "late", "rude", "kind", "the", "met", "Ann", "New", "York", "-", "fresh", "bread", ",")
RATE, WINDOW, SIZE = 1000, 4, 8
FLOAT, WHOLE = TensorProto.FLOAT, TensorProto.INT64
GRAPH_FILE = "graph.onnx"
PADDED = 7.0  # what a graph of texts adds where the mask is 0: whoever reads padding gets another answer


@dataclass(frozen=True)
class TaskModel:
    """`inputs` and `outputs` are tables of the definition; `rows` are instances as JSON has them."""

    task: str
    kind: str
    inputs: str
    outputs: str
    graph: Callable[[], onnx.ModelProto]
    rows: tuple[Any, ...]

    def definition(self, handler: str = "", extra: str = "") -> str:
        """Return `model.toml`; `handler` is the name of a class in `handler.py`, `extra` its settings."""
        head = [f'name = "{self.task}"', 'version = "1.0.0"', f'source = "{GRAPH_FILE}"']
        head += [f'handler = "handler.py:{handler}"'] if handler else []
        tables = [f'[input]\nkind = "{self.kind}"\n{self.inputs}', f'[output]\ntask = "{self.task}"\n{self.outputs}']
        return "\n".join([*head, *tables, f"[input.extra]\n{extra}", '[quantise]\nvariants = ["fp32"]'])

    def write(self, folder: Path, handler: str = "", source: str = "", extra: str = "") -> Path:
        """Write a model folder, with a handler of a user's own if `handler` names its class in `source`."""
        folder.mkdir(parents=True)
        (folder / "model.toml").write_text(self.definition(handler, extra))
        (folder / "golden.jsonl").write_text("".join(json.dumps({"input": row}) + "\n" for row in self.rows))
        onnx.save(self.graph(), folder / GRAPH_FILE)
        if self.kind == "text":
            word_tokenizer().save(str(folder / "tokenizer.json"))
        if handler:
            (folder / "handler.py").write_text(source)
        return folder

    def handler(self, folder: Path, **changes: Any) -> Handler:
        """Return the handler of the kind and the task on the graph, in this process; `changes` are the input's."""
        definition, model = read_definition(self.write(folder)), self.graph()
        inputs, outputs = graph_tensors(model.graph.input), graph_tensors(model.graph.output)
        options = msgspec.structs.replace(definition.input.complete([tensor.name for tensor in inputs], ()), **changes)
        handler: Handler = type("Service", bases(self.kind, self.task), {})()
        handler.signature = Signature(self.task, "1.0.0", "", "fp32", options, definition.output, inputs, outputs, 8)
        handler.folder, handler.output_axes = folder, free_axes(outputs)
        handler.prepare()
        handler.session = Session(model.SerializeToString(), Provider(CPU), 1)
        return handler


def graph_tensors(values: Any) -> tuple[Tensor, ...]:
    """Return a graph's inputs or outputs as a signature has them."""
    return tuple(Tensor(spec["name"], spec["dtype"], tuple(spec["shape"])) for spec in tensors_of(values))


def word_tokenizer() -> Tokenizer:
    """Return a tokenizer of `WORDS`."""
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def model_of(nodes: list[Any], inputs: list[Any], outputs: list[Any], **constants: Any) -> onnx.ModelProto:
    """Return a graph of nodes `(operator, inputs, outputs, attributes)`; tensors are `(name, type, shape)`."""
    graph = helper.make_graph(
        [helper.make_node(kind, taken, given, **attributes) for kind, taken, given, attributes in nodes],
        "small",
        [helper.make_tensor_value_info(*tensor) for tensor in inputs],
        [helper.make_tensor_value_info(*tensor) for tensor in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def word_graph(weights: np.ndarray, *, summed: bool) -> onnx.ModelProto:
    """Return a graph that looks up each token's numbers, shape (words, width), and adds up those of a row's own."""
    shape = ["batch", weights.shape[1]] if summed else ["batch", "sequence", weights.shape[1]]
    nodes: list[Any] = [
        ("Gather", ["weights", "input_ids"], ["each"], {}),
        ("Cast", ["attention_mask"], ["own"], {"to": FLOAT}),
        ("Unsqueeze", ["own", "last"], ["mask"], {}),
    ]
    if summed:
        nodes += [
            ("Mul", ["each", "mask"], ["masked"], {}),
            ("ReduceSum", ["masked", "one"], ["logits"], {"keepdims": 0}),
        ]
    else:
        nodes += [("Sub", ["whole", "mask"], ["beside"], {}), ("Mul", ["beside", "padded"], ["wrong"], {})]
        nodes += [("Add", ["each", "wrong"], ["logits"], {})]
    axes = ["batch", "sequence"]
    constants: dict[str, Any] = {"weights": weights.astype(np.float32), "last": np.array([2]), "one": np.array([1])}
    constants |= {"whole": np.float32(1), "padded": np.float32(PADDED)} if not summed else {}
    return model_of(
        nodes, [("input_ids", WHOLE, axes), ("attention_mask", WHOLE, axes)], [("logits", FLOAT, shape)], **constants
    )


def weights_of(**numbers: list[float]) -> np.ndarray:
    """Return the numbers of each word, shape (words, width): those that are given, zeros for others."""
    width = len(next(iter(numbers.values())))
    return np.array([numbers.get(word, [0.0] * width) for word in WORDS], np.float32)


def linear_graph(name: str, weights: np.ndarray) -> onnx.ModelProto:
    """Return a graph that multiplies its input, shape (batch, rows of the weights), by the weights."""
    inputs, outputs = [(name, FLOAT, ["batch", weights.shape[0]])], [("values", FLOAT, ["batch", weights.shape[1]])]
    return model_of(
        [("MatMul", [name, "weights"], ["values"], {})], inputs, outputs, weights=weights.astype(np.float32)
    )


def boxes_graph() -> onnx.ModelProto:
    """Return a graph with two boxes a picture, a small one and a large one, whose scores grow with its light."""
    nodes = [
        ("ReduceMean", ["image"], ["level"], {"axes": [1, 2, 3], "keepdims": 0}),
        ("Unsqueeze", ["level", "one"], ["levels"], {}),
        ("Mul", ["levels", "half"], ["halves"], {}),
        ("Add", ["halves", "more"], ["scores"], {}),
        ("Unsqueeze", ["scores", "last"], ["wide"], {}),
        ("Mul", ["wide", "zero"], ["nothing"], {}),
        ("Add", ["nothing", "places"], ["boxes"], {}),
        ("Mul", ["scores", "zero"], ["none"], {}),
        ("Add", ["none", "numbers"], ["kinds"], {}),
        ("Cast", ["kinds"], ["labels"], {"to": WHOLE}),
    ]
    constants = {
        "one": np.array([1]), "last": np.array([2]), "zero": np.float32(0), "half": np.float32(0.5),
        "more": np.array([[0.1, 0.3]], np.float32), "numbers": np.array([[0, 1]], np.float32),
        "places": np.array([[[0, 0, 2, 2], [2, 2, SIZE, SIZE]]], np.float32),
    }  # fmt: skip
    outputs = [("boxes", FLOAT, ["batch", 2, 4]), ("scores", FLOAT, ["batch", 2]), ("labels", WHOLE, ["batch", 2])]
    return model_of(nodes, [("image", FLOAT, ["batch", 1, SIZE, SIZE])], outputs, **constants)


def planes_graph() -> onnx.ModelProto:
    """Return a graph whose second plane is its picture and whose first is the negative."""
    nodes = [("Neg", ["image"], ["dark"], {}), ("Concat", ["dark", "image"], ["planes"], {"axis": 1})]
    shape = ["batch", 2, SIZE, SIZE]
    return model_of(nodes, [("image", FLOAT, ["batch", 1, SIZE, SIZE])], [("planes", FLOAT, shape)])


def kelvin_graph() -> onnx.ModelProto:
    """Return a graph of temperatures over time, and their largest."""
    nodes = [
        ("Mul", ["reading", "gain"], ["scaled"], {}),
        ("Add", ["scaled", "start"], ["temperature"], {}),
        ("ReduceMax", ["temperature"], ["largest"], {"axes": [1], "keepdims": 0}),
    ]
    outputs = [("temperature", FLOAT, ["batch", "time"]), ("largest", FLOAT, ["batch"])]
    constants = {"gain": np.float32(10), "start": np.float32(273.15)}
    return model_of(nodes, [("reading", FLOAT, ["batch", "time"])], outputs, **constants)


def picture(*dark: tuple[int, int]) -> str:
    """Return a bright picture with dark pixels at (row, column), a PNG in base64."""
    levels = np.full((SIZE, SIZE), 250, np.uint8)
    for place in dark:
        levels[place] = 5
    return base64.b64encode(saved(Image.fromarray(levels))).decode()


def sound(*samples: float) -> str:
    """Return samples as a WAV file of floats in base64."""
    return base64.b64encode(saved_sound(np.array(samples), RATE, subtype="FLOAT")).decode()


TEXTS = "max_tokens = 16\nmax_bytes = 4096"
IMAGES = f"height = {SIZE}\nwidth = {SIZE}\nchannels = 1\nmax_bytes = 100000"
SOUNDS = f"sample_rate = {RATE}\nwindow_seconds = {WINDOW / RATE}\nmax_seconds = 1.0\nmax_bytes = 100000"
COMPLAINTS = weights_of(late=[2, 0, 0], rude=[0, 3, 0], kind=[0, 0, 4])
TAGS = weights_of(Ann=[0, 9, 0, 0], New=[0, 0, 9, 0], York=[0, 0, 9, 0], the=[9, 0, 0, 0], met=[9, 0, 0, 0])
TAGS[WORDS.index("-")] = TAGS[WORDS.index("[PAD]")] = [9, 0, 0, 0]
PLACES = weights_of(fresh=[1, 2, 2, 4], bread=[2, 1, 0, 0], kind=[0, 3, 4, 0], late=[0, 0, 1, 0])
PRICES = np.array([[1.5], [-2.0]])
NOTES = np.array([[1, 0], [1, 1], [0, 2], [0, 0]])
MODELS = {
    model.task: model
    for model in (
        TaskModel(
            "classification", "text", TEXTS, 'labels = ["late", "rude", "kind"]\nactivation = "softmax"',
            lambda: word_graph(COMPLAINTS, summed=True), ("the late bread", "kind"),
        ),
        TaskModel(
            "multilabel", "audio", SOUNDS,
            'labels = ["bird", "bell"]\nactivation = "sigmoid"', lambda: linear_graph("audio", NOTES),
            (sound(0.5, 0.25, -0.5, 0), sound(0.1)),
        ),
        TaskModel(
            "regression", "table", 'columns = ["rooms", "age"]', "", lambda: linear_graph("features", PRICES),
            ([3, 1], {"rooms": 1.005, "age": 4}),
        ),
        TaskModel(
            "embedding", "text", TEXTS, 'pooling = "mean"\ndimensions = [2]', lambda: word_graph(PLACES, summed=False),
            ("fresh bread", "kind"),
        ),
        TaskModel(
            "rerank", "text", TEXTS + "\npairs = true", 'activation = "sigmoid"',
            lambda: word_graph(weights_of(fresh=[1.5], bread=[0.5], late=[-2]), summed=True),
            (["the bread", "fresh bread"], ["the bread", "late"]),
        ),
        TaskModel(
            "tokens", "text", TEXTS, 'labels = ["O", "PER", "LOC", "ORG"]\nactivation = "softmax"',
            lambda: word_graph(TAGS, summed=False), ("Ann met the New - York", "Ann"),
        ),
        TaskModel(
            "detection", "image", IMAGES, 'labels = ["cat", "dog"]\nlayout = "separate"\nmax_overlap = 1',
            boxes_graph, (picture(), picture((0, 0), (1, 1), (4, 4))),
        ),
        TaskModel(
            "segmentation", "image", IMAGES, 'labels = ["ground", "roof"]', planes_graph,
            (picture((0, 0), (4, 4)), picture()),
        ),
        TaskModel(
            "raw", "tensors", 'limits = { time = 9 }\n[[input.tensors]]\nname = "reading"\nshape = ["time"]',
            "", kelvin_graph, ([1.5, 2], [0.25, -1, 3]),
        ),
    )
}  # fmt: skip
