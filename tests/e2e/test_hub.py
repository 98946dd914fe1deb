"""A repository of a hub becomes an archive by one command, and answers on a server that runs."""

from __future__ import annotations

import contextlib

import torch
import transformers
from tokenizers import Tokenizer

from onnxserve.definition import read_definition
from tests.helpers.file_server import FileServer, running
from tests.helpers.hub import COMMIT, REPO, Hub
from tests.helpers.import_command import write_rows
from tests.helpers.pretrained import save_bert
from tests.helpers.real_models import archive_of, run_command
from tests.helpers.scores import same

LABELS = ("calm", "glad", "sad")
TEXTS = ("the good film", "bad", "good good film", "film the bad")


def test_a_repository_is_imported_by_its_revision_registered_and_asked(real_models, monkeypatch, tmp_path):
    module = save_bert(
        transformers, "BertForSequenceClassification", tmp_path / "bert", id2label=dict(enumerate(LABELS))
    )
    files = {path.name: path.read_bytes() for path in (tmp_path / "bert").iterdir()}
    monkeypatch.setenv("ONNXSERVE_CACHE", str(tmp_path / "cache"))
    with running(FileServer()) as server, contextlib.chdir(tmp_path):
        Hub(server, files)
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        rows = write_rows(tmp_path / "rows.jsonl", TEXTS)
        run_command(("import", f"hf://{REPO}@v1", "moods", "--rows", rows, "--draft"))
    source = read_definition(tmp_path / "models" / "moods").source
    assert source.startswith(f"hf://{REPO}@{COMMIT}@sha256:")
    tokenizer = Tokenizer.from_file(str(tmp_path / "bert" / "tokenizer.json"))
    with real_models.registered(archive_of(tmp_path, "moods")) as version:
        assert version == "1.0.0"
        for text, prediction in zip(TEXTS, real_models.predictions("moods", TEXTS), strict=True):
            with torch.inference_mode():
                logits = module(torch.tensor([tokenizer.encode(text).ids])).logits[0]
            assert same(prediction, dict(zip(LABELS, logits.softmax(0).tolist(), strict=True)))
