"""The three tasks in the style of a tutorial, used by every rival: one request in, one label out."""

from __future__ import annotations

import base64
import io
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(os.environ["BENCH_FOLDER"])
TASK = os.environ["BENCH_TASK"]
BACKEND = os.environ.get("BENCH_BACKEND", "onnx")
GRAPH = str(FOLDER / os.environ.get("BENCH_GRAPH", "model.onnx"))
THREADS = int(os.environ.get("BENCH_THREADS", "0"))
LABELS = json.loads((FOLDER / "signature.json").read_text())["output"]["labels"]


class Task:
    """Preprocesses requests, runs the model and picks the label."""

    def __init__(self) -> None:
        self.inputs = getattr(self, f"_{TASK}")
        if TASK == "sentiment":
            from tokenizers import Tokenizer

            self.tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
            self.tokenizer.no_truncation()
            self.tokenizer.enable_padding()
        self.run = getattr(self, f"_{BACKEND}")()

    def predict(self, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Answer a batch of requests."""
        logits = self.run(self.inputs(documents))
        exps = np.exp(logits - logits.max(-1, keepdims=True))
        scores = exps / exps.sum(-1, keepdims=True)
        return [{"label": LABELS[int(row.argmax())], "score": float(row.max())} for row in scores]

    def _segment(self, documents: list[dict[str, Any]]) -> dict[str, Any]:
        return {"features": np.array([document["features"] for document in documents], dtype=np.float32)}

    def _sentiment(self, documents: list[dict[str, Any]]) -> dict[str, Any]:
        encodings = self.tokenizer.encode_batch([document["text"] for document in documents])
        return {
            "input_ids": np.array([encoding.ids for encoding in encodings], dtype=np.int64),
            "attention_mask": np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64),
        }

    def _digits(self, documents: list[dict[str, Any]]) -> dict[str, Any]:
        from PIL import Image

        rows = []
        for document in documents:
            image = Image.open(io.BytesIO(base64.b64decode(document["image"]))).convert("RGB")
            pixels = np.asarray(image.resize((96, 96), Image.Resampling.BILINEAR), dtype=np.float32)
            rows.append(((pixels - 127.0) / 128.0).transpose(2, 0, 1))
        return {"image": np.stack(rows)}

    def _onnx(self) -> Any:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = THREADS
        session = ort.InferenceSession(GRAPH, options, providers=["CPUExecutionProvider"])
        return lambda arrays: session.run(None, arrays)[0]

    def _openvino(self) -> Any:
        import openvino

        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": THREADS}
        request = openvino.compile_model(GRAPH, "CPU", settings).create_infer_request()
        return lambda arrays: request.infer(arrays)[0]

    def _torch(self) -> Any:
        import torch

        with (FOLDER / "module.pkl").open("rb") as stream:
            module = pickle.load(stream)  # noqa: S301 - written by this benchmark

        def run(arrays: dict[str, Any]) -> Any:
            with torch.inference_mode():
                return module(**{name: torch.from_numpy(array) for name, array in arrays.items()}).numpy()

        return run
