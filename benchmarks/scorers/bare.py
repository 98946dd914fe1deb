"""A minimal scorer for Parquet files: one process, onnxruntime on all cores, no checks.

`bare.py FOLDER IN OUT THREADS`; if OUT is `-`, nothing is written. FOLDER is an unpacked archive.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

FOLDER, IN, OUT, THREADS = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
SIGNATURE = json.loads((FOLDER / "signature.json").read_bytes())
COLUMNS, LABELS = SIGNATURE["input"].get("columns"), SIGNATURE["output"]["labels"]
BATCH = 4096 if COLUMNS else SIGNATURE["max_batch"]
TOKENIZER = None if COLUMNS else Tokenizer.from_file(str(FOLDER / "tokenizer.json"))


def session() -> ort.InferenceSession:
    """Create a session with one thread per core."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    return ort.InferenceSession(FOLDER / "model.onnx", options, providers=["CPUExecutionProvider"])


def tensors(batch: pa.RecordBatch) -> dict[str, np.ndarray]:
    """Stack numbers, or tokenise and pad texts."""
    if TOKENIZER is None:
        return {"features": np.stack([batch[name].to_numpy() for name in COLUMNS], 1).astype(np.float32)}
    TOKENIZER.enable_padding()
    encodings = TOKENIZER.encode_batch_fast(batch["text"].to_pylist())
    return {
        "input_ids": np.array([encoding.ids for encoding in encodings], np.int64),
        "attention_mask": np.array([encoding.attention_mask for encoding in encodings], np.int64),
    }


def main() -> None:
    """Read rows, run the model, write the best label."""
    run, writer = session(), None
    for batch in pq.ParquetFile(IN).iter_batches(BATCH):
        [logits] = run.run(None, tensors(batch))
        values = np.exp(logits - logits.max(1, keepdims=True))
        best = logits.argmax(1)
        if OUT != "-":
            table = pa.table(
                {
                    "prediction": pa.DictionaryArray.from_arrays(best.astype(np.int32), LABELS),
                    "score": 1 / values.sum(1),
                }
            )
            writer = writer or pq.ParquetWriter(OUT, table.schema)
            writer.write_table(table)
    if writer:
        writer.close()


main()
