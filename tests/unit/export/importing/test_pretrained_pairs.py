"""Pairs of texts of a folder of transformers: the types of their tokens."""

from typing import Any

import pytest
import torch

from onnxserve_export.importing.outline import Outline
from onnxserve_export.importing.pretrained import read_pretrained
from onnxserve_handlers.inputs.text import TextInput, TextOptions
from onnxserve_handlers.inputs.text_tokens import TENSORS, TYPES
from onnxserve_handlers.tasks import Hooks
from tests.helpers.fakes import signature
from tests.helpers.pretrained import save_bert
from tests.helpers.tokenizer_files import vocabulary_of


class Texts(TextInput, Hooks):
    """Texts for any task."""


@pytest.mark.parametrize("names", [None, ["input_ids", "attention_mask"], ["input_ids", TYPES, "attention_mask"]])
def test_a_pair_has_the_types_that_transformers_gives_the_model(tmp_path, names):
    transformers = pytest.importorskip("transformers")
    stated = {"sentence_transformers": {"version": "5.1.0"}}
    module = save_bert(transformers, "BertForSequenceClassification", tmp_path, num_labels=1, **stated)
    stated_names: dict[str, Any] = {"model_input_names": names} if names else {}
    transformers.BertTokenizer(vocab=vocabulary_of(("good", "bad", "film")), **stated_names).save_pretrained(tmp_path)
    encoded = transformers.AutoTokenizer.from_pretrained(tmp_path)("good film", "bad film", return_tensors="pt")
    hooks = Texts()
    outline = Outline("folder", {})
    read_pretrained(outline, tmp_path)
    options = TextOptions(**{name: fact.value for name, fact in outline.section("input")})
    hooks.folder, hooks.signature = tmp_path, signature(options.complete(TENSORS[:1], TENSORS[1:3]))
    hooks.prepare()
    tensors = hooks.tensors([hooks.check(["good film", "bad film"], "x")])
    assert {name: array.tolist() for name, array in tensors.items()} == {
        name: values.tolist() for name, values in encoded.items()
    }
    with torch.inference_mode():
        own = module(**{name: torch.from_numpy(array) for name, array in tensors.items()}).logits
        typed = module(**encoded, **({} if TYPES in encoded else {TYPES: torch.tensor([[0, 0, 0, 0, 1, 1, 1]])})).logits
        assert torch.equal(own, module(**encoded).logits)
    assert torch.equal(own, typed) is (TYPES in encoded)
