"""Tokenizers of transformers' folders: what their class decides, and files that make other tokens."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, normalizers

from onnxserve.errors import DefinitionError
from onnxserve_export.importing.outline import Fact, Outline
from onnxserve_export.importing.pretrained import read_pretrained
from tests.helpers.artefacts import write_pretrained
from tests.helpers.tokenizer_files import vocabulary_of

from .test_pretrained import BERT, LABELS, outline_of

FILE = "tokenizer.json"
PIECES = [(piece, 0.0) for piece in ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "<s>", "</s>", "▁", "good", "film")]


def save(folder: Path, name: str, config: dict[str, Any] = BERT | LABELS) -> Path:
    """Write a folder with a small tokenizer of a class of transformers."""
    transformers = pytest.importorskip("transformers")
    vocabulary = vocabulary_of(("good", "film")) if name == "BertTokenizer" else PIECES
    getattr(transformers, name)(vocab=vocabulary, model_max_length=16).save_pretrained(folder)
    return write_pretrained(folder, config)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("BertTokenizer", "input.pair_types", None),
        ("BigBirdTokenizer", "input.pair_types", False),  # no file says that it gives no token_type_ids
        ("BertTokenizer", "input.batch", None),
        ("FNetTokenizer", "input.batch", "equal"),  # it gives no attention_mask
    ],
)
def test_the_class_says_which_tensors_the_model_gets(tmp_path, name, field, value):
    folder = save(tmp_path, name)
    assert "model_input_names" not in json.loads((folder / "tokenizer_config.json").read_text())
    assert outline_of(folder, input__pairs=True).get(field) == value


def test_without_transformers_the_file_says_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    settings = {"model_max_length": 16, "model_input_names": ["input_ids", "attention_mask"]}
    folder = write_pretrained(tmp_path, BERT | LABELS, tokenizer={}, tokenizer_config=settings)
    assert outline_of(folder, input__pairs=True).get("input.pair_types") is False


def test_a_file_that_makes_other_tokens_than_its_class_is_refused_unless_the_user_gives_it(tmp_path):
    folder = save(tmp_path, "BertTokenizer")
    tokenizer = Tokenizer.from_file(str(folder / FILE))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace("fox", "good")])
    tokenizer.save(str(folder / FILE))
    with pytest.raises(DefinitionError, match=r"makes other tokens of .The quick .* than BertTokenizer") as caught:
        outline_of(folder)
    assert "save_pretrained(FOLDER)" in caught.value.fix
    outline = Outline("folder", {"input.max_tokens": Fact(8, "--set")}, files={FILE: folder / FILE})
    read_pretrained(outline, folder)
    outline.check()


def test_texts_of_a_head_that_reads_the_last_place_are_padded_on_the_left(tmp_path):
    folder = save(tmp_path, "XLNetTokenizer", BERT | LABELS | {"model_type": "xlnet", "summary_type": "last"})
    assert outline_of(folder).get("input.padding_side") == "left"
