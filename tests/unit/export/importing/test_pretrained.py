"""Folders of transformers: kind, task, labels and preprocessing by their configuration alone."""

from pathlib import Path
from typing import Any

import pytest
import torch

from onnxserve.errors import DefinitionError
from onnxserve_export.importing.outline import Fact, Outline
from onnxserve_export.importing.pretrained import read_pretrained
from tests.helpers.artefacts import write_pretrained

LABELS = {"id2label": {"1": "good", "0": "bad"}, "label2id": {"bad": 0, "good": 1}}
BERT = {"architectures": ["BertForSequenceClassification"], "max_position_embeddings": 512, "model_type": "bert"}
TOKENIZER = {"tokenizer": {}, "tokenizer_config": {"model_max_length": 128}}
VIT = {
    "image_processor_type": "ViTImageProcessor",
    "size": {"height": 32, "width": 48},
    "resample": 3,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.2, 0.2],
}

CUT = {"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}, "do_center_crop": True}


def outline_of(folder: Path, **answers: Any) -> Outline:
    facts = {field.replace("__", "."): Fact(value, "--set") for field, value in answers.items()}
    outline = Outline("folder", facts)
    read_pretrained(outline, folder)
    return outline


def fields(outline: Outline, section: str) -> dict[str, Any]:
    return {name: fact.value for name, fact in outline.section(section)}


def test_a_classifier_of_texts_has_labels_in_the_order_of_its_outputs(tmp_path):
    outline = outline_of(write_pretrained(tmp_path, BERT | LABELS, **TOKENIZER))
    outline.check()
    assert fields(outline, "input") == {"kind": "text", "max_tokens": 128}
    assert fields(outline, "output") == {"task": "classification", "activation": "softmax", "labels": ["bad", "good"]}
    assert outline.get("source_outputs") == ["logits"]


def test_labels_of_a_premise_and_a_hypothesis_mean_pairs(tmp_path):
    names = {"0": "ENTAILMENT", "1": "NEUTRAL", "2": "CONTRADICTION"}
    outline = outline_of(write_pretrained(tmp_path, BERT | {"id2label": names}, **TOKENIZER))
    assert outline.get("input.pairs") is True


def test_several_labels_at_once_and_values_are_told_by_the_problem_type(tmp_path):
    multilabel = BERT | LABELS | {"problem_type": "multi_label_classification"}
    outline = outline_of(write_pretrained(tmp_path / "a", multilabel, **TOKENIZER))
    assert (outline.get("output.task"), outline.get("output.activation")) == ("multilabel", "sigmoid")
    value = BERT | {"id2label": {"0": "LABEL_0"}, "problem_type": "regression"}
    assert outline_of(write_pretrained(tmp_path / "b", value, **TOKENIZER)).get("output.task") == "regression"


def test_one_output_is_a_rank_only_where_the_config_or_the_user_says_so(tmp_path):
    single = BERT | {"id2label": {"0": "LABEL_0"}}
    with pytest.raises(DefinitionError, match=r"output\.task: the model has one output: `rerank`"):
        outline_of(write_pretrained(tmp_path / "a", single, **TOKENIZER)).check()
    encoder = single | {"sentence_transformers": {"version": "5.1.0"}}
    outline = outline_of(write_pretrained(tmp_path / "b", encoder, **TOKENIZER))
    assert (outline.get("output.task"), outline.get("input.pairs")) == ("rerank", True)
    assert outline_of(tmp_path / "a", output__task="rerank").get("input.pairs") is True


def test_positions_of_roberta_begin_behind_the_padding(tmp_path):
    roberta = BERT | LABELS | {"model_type": "roberta", "max_position_embeddings": 514}
    outline = outline_of(write_pretrained(tmp_path, roberta, tokenizer={}))
    assert outline.get("input.max_tokens") == 512


def test_a_folder_without_a_tokenizer_for_us_says_how_to_write_it(tmp_path):
    folder = write_pretrained(tmp_path, BERT | LABELS | {"id2label": {"1": "no"}})
    with pytest.raises(DefinitionError, match=r"(?s)tokenizer\.json: the folder lacks it.*output\.labels") as caught:
        outline_of(folder).check()
    assert "save_pretrained(FOLDER); or give one: --file PATH/tokenizer.json" in caught.value.fix


def test_sentence_transformers_pool_and_normalise_as_their_modules_say(tmp_path):
    types = ("sentence_transformers.models.Transformer", "x.models.Pooling", "x.models.Normalize")
    entries = [{"type": name, "path": path} for name, path in zip(types, ("", "1_Pooling", "2_Normalize"), strict=True)]
    folder = write_pretrained(tmp_path, BERT | {"architectures": ["BertModel"]}, modules=entries, **TOKENIZER)
    pooling = {"word_embedding_dimension": 8, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    write_pretrained(tmp_path / "1_Pooling", pooling)
    outline = outline_of(folder)
    outline.check()
    assert fields(outline, "output") == {"task": "embedding", "pooling": "mean", "normalise": True}
    assert outline.get("source_outputs") == ["last_hidden_state"]
    write_pretrained(tmp_path, BERT, modules=[*entries, {"type": "x.Dense", "path": "3_Dense"}])
    with pytest.raises(DefinitionError, match="has Dense, which isn't taken"):
        outline_of(folder)


def test_a_model_without_a_head_is_asked_how_it_pools(tmp_path):
    folder = write_pretrained(tmp_path, BERT | {"architectures": ["BertModel"]}, **TOKENIZER)
    with pytest.raises(DefinitionError, match=r"output\.pooling: how vectors of tokens"):
        outline_of(folder).check()


@pytest.mark.parametrize(
    ("processor", "kind"),
    [(VIT, "image"), ({"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 8000}, "audio")],
)
def test_a_model_without_a_head_has_rows_of_the_kind_of_its_processor(tmp_path, processor, kind):
    folder = write_pretrained(tmp_path, {"architectures": ["AnyModel"]}, preprocessor_config=processor)
    with pytest.raises(DefinitionError, match=r"output\.pooling"):
        outline_of(folder).check()
    outline = outline_of(folder, output__pooling="mean")
    outline.check()
    assert (outline.get("input.kind"), outline.get("output.task")) == (kind, "embedding")


def test_a_task_without_labels_gets_none_of_a_classifiers(tmp_path):
    folder = write_pretrained(tmp_path, BERT | LABELS, **TOKENIZER)
    outline = outline_of(folder, output__task="embedding")
    outline.check()
    assert outline.get("output.labels") is None


def test_a_sound_classifier_has_the_rate_of_its_extractor(tmp_path):
    config = LABELS | {"architectures": ["Wav2Vec2ForSequenceClassification"]}
    extractor = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 8000, "do_normalize": True}
    outline = outline_of(write_pretrained(tmp_path, config, preprocessor_config=extractor))
    assert fields(outline, "input") == {"kind": "audio", "sample_rate": 8000, "normalise": True}
    assert outline.get("output.labels") == ["bad", "good"]


@pytest.mark.parametrize(("norm", "mask"), [("layer", True), ("group", None)])
def test_a_mask_is_given_where_it_hides_the_padding(tmp_path, norm, mask):
    config = LABELS | {"architectures": ["WavLMForSequenceClassification"], "feat_extract_norm": norm}
    extractor = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "return_attention_mask": True}
    outline = outline_of(write_pretrained(tmp_path, config, preprocessor_config={"sampling_rate": 8000} | extractor))
    assert outline.get("input.mask") is mask


def test_an_extractor_that_is_not_taken_is_named_where_a_sequence_classifier_has_it(tmp_path):
    config = LABELS | {"architectures": ["Wav2Vec2BertForSequenceClassification"]}
    extractor = {"feature_extractor_type": "SeamlessM4TFeatureExtractor", "sampling_rate": 16000}
    with pytest.raises(DefinitionError, match="SeamlessM4TFeatureExtractor isn't taken"):
        outline_of(write_pretrained(tmp_path, config, preprocessor_config=extractor))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"architectures": ["LlamaForCausalLM"]}, "LlamaForCausalLM isn't taken"),
        ({}, "config.json names no `architectures`"),
    ],
)
def test_an_architecture_that_no_task_reads_is_refused_by_name(tmp_path, config, message):
    with pytest.raises(DefinitionError, match=message):
        outline_of(write_pretrained(tmp_path, config, **TOKENIZER))


@pytest.mark.parametrize("names", [{"1": "good", "2": "bad"}, {"0": "good", "x": "bad"}])
def test_labels_whose_outputs_are_unknown_are_asked_for(tmp_path, names):
    folder = write_pretrained(tmp_path, BERT | {"id2label": names}, **TOKENIZER)
    with pytest.raises(DefinitionError, match=r"output\.labels: id2label of config\.json doesn't name the outputs"):
        outline_of(folder).check()
    assert outline_of(folder, output__labels=["good", "bad"]).get("output.labels") == ["good", "bad"]


def test_a_cross_encoder_reads_pairs_whatever_its_labels_and_keeps_its_activation(tmp_path):
    identity = {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}
    three = {"id2label": {"0": "no", "1": "maybe", "2": "yes"}}
    outline = outline_of(write_pretrained(tmp_path / "a", BERT | three | identity, **TOKENIZER))
    assert (outline.get("output.task"), outline.get("input.pairs")) == ("classification", True)
    single = BERT | {"id2label": {"0": "LABEL_0"}}
    outline = outline_of(write_pretrained(tmp_path / "b", single | identity, **TOKENIZER))
    assert (outline.get("output.task"), outline.get("output.activation")) == ("rerank", "none")
    stated = {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Tanh"}}
    with pytest.raises(DefinitionError, match=r"output\.activation: config\.json names .*Tanh"):
        outline_of(write_pretrained(tmp_path / "c", single | stated, **TOKENIZER)).check()


def test_a_padding_token_that_only_the_config_names_is_read(tmp_path):
    vocabulary = {"a": 0, "<|endoftext|>": 1}
    files = {**TOKENIZER, "tokenizer": {"model": {"vocab": vocabulary}, "padding": None}}
    outline = outline_of(write_pretrained(tmp_path / "a", BERT | LABELS | {"pad_token_id": 1}, **files))
    assert outline.get("input.extra.pad_id") == 1
    vocabulary["[PAD]"] = 2
    outline = outline_of(write_pretrained(tmp_path / "b", BERT | LABELS | {"pad_token_id": 2}, **files))
    assert outline.get("input.extra.pad_id") is None


def test_sentence_transformers_without_a_pooling_are_asked_for_it(tmp_path):
    entries = [{"type": "x.models.Transformer", "path": ""}]
    folder = write_pretrained(tmp_path, BERT | {"architectures": ["BertModel"]}, modules=entries, **TOKENIZER)
    with pytest.raises(DefinitionError, match=r"output\.pooling: modules\.json has no module Pooling"):
        outline_of(folder).check()
    outline_of(folder, output__task="raw").check()


@pytest.mark.parametrize("modules", [{}, [], [{"path": ""}], [{"type": "x.Transformer", "path": ""}, 3]])
def test_a_list_of_modules_that_is_none_is_refused(tmp_path, modules):
    folder = write_pretrained(tmp_path, BERT | {"architectures": ["BertModel"]}, modules=modules, **TOKENIZER)
    with pytest.raises(DefinitionError, match=r"modules\.json isn't a list of modules"):
        outline_of(folder)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"config_sentence_transformers": {"default_prompt_name": "query"}},
            "puts the prompt 'query' before each text",
        ),
        ({"sentence_bert_config": {"do_lower_case": True}}, "makes texts lower-case"),
    ],
)
def test_texts_that_sentence_transformers_changes_first_are_refused(tmp_path, files, message):
    entries = [{"type": "x.models.Transformer", "path": ""}, {"type": "x.models.Pooling", "path": "1_Pooling"}]
    config = BERT | {"architectures": ["BertModel"]}
    folder = write_pretrained(tmp_path, config, modules=entries, **{**TOKENIZER, **files})
    write_pretrained(tmp_path / "1_Pooling", {"pooling_mode": "mean"})
    with pytest.raises(DefinitionError, match=message):
        outline_of(folder)
    lower = {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]}
    write_pretrained(folder, config, tokenizer={"normalizer": lower}, config_sentence_transformers={})
    outline_of(folder).check()


@pytest.mark.parametrize(
    ("kernels", "strides", "samples"), [([10, 8, 4], [5, 4, 4], 105), ([10, 3, 3, 3, 3, 2, 2], [5, *[2] * 6], 400)]
)
def test_a_sound_is_at_least_as_long_as_what_the_convolutions_make_one_frame_of(tmp_path, kernels, strides, samples):
    config = LABELS | {"architectures": ["Wav2Vec2ForSequenceClassification"]}
    config |= {"conv_kernel": kernels, "conv_stride": strides}
    convolutions = [torch.nn.Conv1d(1, 1, k, s) for k, s in zip(kernels, strides, strict=True)]
    assert torch.nn.Sequential(*convolutions)(torch.zeros(1, 1, samples)).shape[-1] == 1
    with pytest.raises(RuntimeError, match="size"):
        torch.nn.Sequential(*convolutions)(torch.zeros(1, 1, samples - 1))
    extractor = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 16_000}
    outline = outline_of(write_pretrained(tmp_path, config, preprocessor_config=extractor))
    assert outline.get("input.min_seconds") == samples / 16_000
