"""Models that are imported without a row: each kind of input makes an unproven archive, or says what it wants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from tests.helpers.import_command import FP32, sets, write_rows
from tests.helpers.pretrained import save_bert, save_vit
from tests.helpers.program import run

NETWORKS = """import torch


class Sound(torch.nn.Module):
    def forward(self, audio):
        return torch.stack([audio.mean(1), audio.abs().mean(1)], 1)


class Ids(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table = torch.nn.Embedding({rows}, 2)

    def forward(self, ids):
        return self.table(ids).sum(1)


def table():
    torch.manual_seed(0)
    return torch.nn.Linear(2, 2)
"""


@pytest.fixture
def imported(tmp_path, monkeypatch, capsys):
    """Import by the command line into an empty folder; return the exit code and both streams."""

    def call(source: str, *options: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        words = ("import", source, "net", "--store", "store", "--json", *options)
        return run(*words, monkeypatch=monkeypatch, capsys=capsys)

    return call


def save_words(folder: Path) -> str:
    """Write a BERT whose tokenizer knows no unknown words, so that most random texts can't be read back."""
    save_bert(pytest.importorskip("transformers"), "BertForSequenceClassification", folder)
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(("good", "film", "[PAD]"))}))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(folder / "tokenizer.json"))
    return folder.name


def save_pictures(folder: Path) -> str:
    save_vit(pytest.importorskip("transformers"), folder)
    return folder.name


MODELS: dict[str, Any] = {
    "text": (save_words, ()),
    "image": (save_pictures, ()),
    "audio": ("networks.py:Sound", ("--kind", "audio", *sets(input__sample_rate=8000), "--labels", "low,high")),
    "table": ("networks.py:table", ("--columns", "a,b", "--task", "regression")),
    "tensors": ("networks.py:Ids", ("--tensor", "ids=int64[n]", *sets(input__limits__n=20))),
}


@pytest.mark.parametrize("kind", MODELS)
def test_each_kind_makes_an_unproven_archive_without_a_row(imported, tmp_path, kind):
    (tmp_path / "networks.py").write_text(NETWORKS.replace("{rows}", "50"))
    source, options = MODELS[kind]
    code, out, err = imported(source if isinstance(source, str) else source(tmp_path / "source"), *options)
    assert code == 0, err
    printed = json.loads(out)
    assert printed["proof"] == "unproven"
    assert (tmp_path / printed["archive"]).is_file()
    assert "no rows: the archive will be unproven" in err


def test_a_model_that_takes_no_generated_row_is_imported_again_with_one_of_its_own(imported, tmp_path):
    (tmp_path / "networks.py").write_text(NETWORKS.replace("{rows}", "1"))
    options = ("--tensor", "ids=int64[n]", *sets(input__limits__n=20), *FP32)
    code, _, err = imported("networks.py:Ids", *options)
    assert code == 1
    assert "[5/19]" not in err
    assert "the module fails on batches such as ids int64 [2, 8] of 0 to 1: IndexError" in err
    assert "there are no rows, so these were generated within the signature: give real ones with --rows" in err
    line = "models/net stays: import it again with other options, which replaces it while nobody changes it; or change"
    assert f"{line} its model.toml, and run onnxserve export models/net --unproven --store store\n" in err
    write_rows(tmp_path / "rows.jsonl", [{"ids": [0] * count} for count in range(1, 12)])
    code, out, err = imported("networks.py:Ids", *options, "--rows", "rows.jsonl")
    assert code == 0, err
    assert "is as an earlier import wrote it, and is replaced" in err
    assert "torch fails on rows generated within the signature, so only yours are compared" in err
    assert "may fail alike, or get an answer that nothing proves: IndexError: index out of range in self" in err
    assert json.loads(out)["proof"] == "parity"
