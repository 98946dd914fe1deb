"""Folders of transformers as sources: the module's own answers, and what is refused."""

import json
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


def test_parameters_that_the_weights_lack_are_refused_since_they_would_be_random(folder):
    import transformers

    model = transformers.BertForSequenceClassification.from_pretrained(folder)
    model.bert.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | BERT))
    with pytest.raises(DefinitionError, match=r"lack 2 parameters of BertForSequenceClassification.*classifier\.bias"):
        open_source(str(folder), folder, {}, ["logits"])


def test_a_pooler_may_lack_where_hidden_states_are_served(folder):
    import transformers

    bert = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False)
    bert.save_pretrained(folder)
    assert open_source(str(folder), folder, {}, ["last_hidden_state"]).summary.startswith("transformers BertModel")
    with pytest.raises(DefinitionError, match="pooler"):
        open_source(str(folder), folder, {})


def test_an_adapter_is_no_whole_model(folder):
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(DefinitionError, match=r"adapter_config\.json names another model"):
        open_source(str(folder), folder, {})


@pytest.mark.parametrize("name", ["pipeline", "AutoModel", "models"])
def test_what_is_no_model_class_of_transformers_is_not_called(tmp_path, name):
    pytest.importorskip("transformers")
    with pytest.raises(DefinitionError, match=f"has no {name}"):
        open_source(str(write_pretrained(tmp_path, {"architectures": [name]})), tmp_path, {})


@pytest.mark.parametrize("path", ["../other", "/other"])
def test_a_module_outside_the_folder_is_refused(tmp_path, path):
    folder = write_pretrained(tmp_path / "a", BERT, modules=[{"type": "x.Transformer", "path": path}])
    with pytest.raises(DefinitionError, match="lies outside of it"):
        open_source(str(folder), folder, {})


def test_a_module_behind_the_transformer_that_the_graph_would_leave_out_is_refused(tmp_path):
    entries = [{"type": f"x.{name}", "path": path} for name, path in (("Transformer", ""), ("Dense", "2_Dense"))]
    folder = write_pretrained(tmp_path, BERT, modules=entries)
    with pytest.raises(DefinitionError, match="has Dense, which isn't taken"):
        open_source(str(folder), tmp_path, {})
