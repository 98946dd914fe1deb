"""Infinity, a server of text embeddings and of text classifiers; `sentiment` is a classifier.

Commands and requests: https://michaelfeil.github.io/infinity/latest/ and the `/docs` of a running server.
It serves a folder as Hugging Face publishes them. One process tokenizes, collects up to 32 waiting texts, its default,
and runs them one after another; onnxruntime takes all cores, and no option changes that.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import onnx

from onnxserve.archive.write import pretty

from .prepare import FP32, OURS, Bench, scratch, variables
from .process import Running, start
from .venvs import python_of

PATH = "/classify"
OUTPUT = "logits"  # what optimum takes for the output of a classifier
# The warm-up sends texts of 514 tokens without cutting them, and models of this family have 512 positions. The
# optimiser calls optimum with an argument that its newer versions refuse; the server then takes the graph as it is.
FLAGS = ["--engine", "optimum", "--device", "cpu", "--no-model-warmup", "--onnx-disable-optimize"]
QUIET = {"DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}


def infinity(bench: Bench, port: int) -> Running:
    """Serve the archive's graph."""
    return _serve(bench, port, "infinity", OURS)


def infinity_fp32(bench: Bench, port: int) -> Running:
    """Serve the graph that its users would have."""
    return _serve(bench, port, "infinity-fp32", FP32)


def text_bodies(bench: Bench) -> list[bytes]:
    """Return a request to classify one text per row."""
    return [msgspec.json.encode({"input": [value]}) for value in bench.values]


def _serve(bench: Bench, port: int, name: str, graph: str) -> Running:
    folder = scratch(name)
    model = folder / "model"
    write_model(bench.folder, graph, model)
    # Graphs of a local folder are found only from within it.
    command = [str(python_of("infinity").with_name("infinity_emb")), "v2", "--model-id", ".", *FLAGS]
    command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    settings = variables(bench, graph=graph) | QUIET | {"HF_HOME": str(folder)}
    return start(command, model, settings, folder / "log.txt")


def write_model(source: Path, graph: str, folder: Path) -> None:
    """Write a folder in the layout of Hugging Face: configuration, tokenizer and graph of the unpacked archive."""
    folder.mkdir()
    labels = json.loads((source / "signature.json").read_bytes())["output"]["labels"]
    names = {str(number): label for number, label in enumerate(labels)}
    architecture = {"architectures": ["BertForSequenceClassification"], "model_type": "bert"}
    (folder / "config.json").write_bytes(pretty({**architecture, "id2label": names}))
    (folder / "tokenizer_config.json").write_bytes(pretty({"tokenizer_class": "BertTokenizerFast"}))
    shutil.copy(source / "tokenizer.json", folder)
    model = onnx.load(source / graph)
    rename_output(model.graph, OUTPUT)
    onnx.save(model, folder / "model.onnx")


def rename_output(graph: onnx.GraphProto, name: str) -> None:
    """Rename the graph's only output in place, also where a node writes or reads it; ValueError if it has several."""
    [output] = graph.output
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [name if value == output.name else value for value in values]
    output.name = name
