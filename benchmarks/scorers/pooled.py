"""A batch scorer in the style of tutorials: rows as dicts, a thread pool, one row per call.

`pooled.py FOLDER IN OUT THREADS`; FOLDER is an unpacked archive.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

FOLDER, IN, OUT, THREADS = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
SIGNATURE = json.loads((FOLDER / "signature.json").read_bytes())
COLUMNS, LABELS = SIGNATURE["input"].get("columns"), SIGNATURE["output"]["labels"]
TOKENIZER = None if COLUMNS else Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
SESSION = ort.InferenceSession(FOLDER / "model.onnx", providers=["CPUExecutionProvider"])


def score(row: dict) -> dict:
    """Score one row."""
    if TOKENIZER is None:
        inputs = {"features": np.array([[row[name] for name in COLUMNS]], np.float32)}
    else:
        encoding = TOKENIZER.encode(row["text"])
        inputs = {"input_ids": np.array([encoding.ids]), "attention_mask": np.array([encoding.attention_mask])}
    logits = SESSION.run(None, inputs)[0][0]
    values = np.exp(logits - logits.max())
    return {**row, "prediction": LABELS[int(logits.argmax())], "score": float(values.max() / values.sum())}


with ThreadPoolExecutor(THREADS) as pool:
    pq.write_table(pa.Table.from_pylist(list(pool.map(score, pq.read_table(IN).to_pylist()))), OUT)
