"""Folders of transformers as sources: the module's own answers, and what is refused."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from onnxserve.errors import DefinitionError
from onnxserve_export.sources import open_source
from onnxserve_export.sources.source import match_inputs
from tests.helpers.artefacts import write_pretrained

BERT = {"architectures": ["BertForSequenceClassification"], "model_type": "bert"}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A BERT of one small layer with seeded weights and two labels."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(3)
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1}
    config = transformers.BertConfig(vocab_size=8, max_position_embeddings=32, **sizes)
    transformers.BertForSequenceClassification(config).eval().save_pretrained(tmp_path / "bert")
    saved: Path = tmp_path / "bert"
    return saved


def test_a_folder_answers_as_transformers_does_and_takes_ids_mask_and_types(folder):
    import transformers

    model = open_source(str(folder), folder, {}, ["logits"])
    ids = np.array([[2, 4, 3, 0], [2, 5, 6, 3]])
    batch = {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)}
    reference = transformers.BertForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        expected = reference(**{name: torch.from_numpy(array) for name, array in batch.items()}).logits.numpy()
    np.testing.assert_allclose(model.run(batch)["logits"], expected, atol=1e-6)
    assert model.summary.startswith("transformers BertForSequenceClassification")
    assert [spec.name for spec in model.inputs if spec.required] == ["input_ids"]
    assert match_inputs(model, {**batch, "token_type_ids": ids}).keys() == {*batch, "token_type_ids"}
    proto, _ = model.graph(
        {name: np.concatenate([array, array[:1]]) for name, array in batch.items()},
        {name: {1: "sequence"} for name in batch},
    )
    assert [value.name for value in proto.graph.output] == ["logits"]


def test_weights_in_a_pickle_are_not_read_without_trust(tmp_path):
    pytest.importorskip("transformers")
    write_pretrained(tmp_path, BERT)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(DefinitionError, match=r"pytorch_model\.bin is a pickle") as caught:
        open_source(str(tmp_path), tmp_path, {})
    assert "--trust" in caught.value.fix


def test_a_class_that_transformers_lacks_and_missing_weights_are_named(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(DefinitionError, match="has no NoSuchModel"):
        open_source(str(write_pretrained(tmp_path, {"architectures": ["NoSuchModel"]})), tmp_path, {})
    with pytest.raises(DefinitionError, match="there are no weights"):
        open_source(str(write_pretrained(tmp_path, BERT)), tmp_path, {})


def test_without_transformers_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(DefinitionError, match="transformers is not installed") as caught:
        open_source(str(write_pretrained(tmp_path, BERT)), tmp_path, {})
    assert caught.value.fix == "pip install 'onnxserve[transformers]'"


def test_a_folder_that_is_no_model_says_what_it_lacks(tmp_path):
    with pytest.raises(DefinitionError, match=r"there is no config\.json"):
        open_source(str(tmp_path), tmp_path, {})
