"""One command from a model that exists to an archive: `onnxserve import`, for each form that a model may have."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer

from onnxserve.archive import read_signature, unpack
from onnxserve.archive.offline import answers
from tests.helpers.artefacts import linear_graph, write_linear, write_triton
from tests.helpers.photos import saved, scene
from tests.helpers.pretrained import (
    PROCESSOR,
    SIZES,
    save_bert,
    save_segformer,
    save_sentence_bert,
    save_vit,
    save_yolos,
)
from tests.helpers.program import run
from tests.helpers.stock import MANIFEST, document, write_zip

ROW = [0.5, -1.0, 2.0]
VALUES = (np.array(ROW, np.float32) @ (np.arange(6, dtype=np.float32).reshape(3, 2) - 2)).tolist()
FEW_PIXELS = 1e-3  # share of those on a border, where graph and module round differently
PHRASES = ("good film", "bad film", "the good", "the bad film", "bad", "good good")


@pytest.fixture
def imported(tmp_path, monkeypatch, capsys):
    """Import a model by the command line; return what it printed as JSON, with a place for the archive's content."""

    def call(source: object, *options: str) -> dict[str, Any]:
        monkeypatch.chdir(tmp_path)
        words = ("import", str(source), "net", "--store", "store", "--json", *options)
        code, out, err = run(*words, monkeypatch=monkeypatch, capsys=capsys)
        assert code == 0, err
        printed: dict[str, Any] = json.loads(out)
        return printed | {"err": err}

    return call


def answer(archive: str, folder: Path, instances: list[Any]) -> list[Any]:
    """Predictions of the archive's own handler."""
    unpack(Path(archive), folder)
    [reply] = answers(folder, [json.dumps({"instances": instances}).encode()])
    assert reply["status"] == 200, reply
    predictions: list[Any] = reply["body"]["predictions"]
    return predictions


def test_a_ready_graph_becomes_an_archive_that_answers_as_it_does(imported, tmp_path):
    printed = imported(write_linear(tmp_path / "net.onnx"), "--draft")
    assert printed["proof"] == "unproven"
    assert "no rows: the archive will be unproven; one row proves fp32" in printed["err"]
    [prediction] = answer(printed["archive"], tmp_path / "open", [{"x": ROW}])
    assert prediction == {"outputs": {"y": pytest.approx(VALUES)}}


def test_with_rows_a_ready_graph_is_proven(imported, tmp_path):
    lines = [json.dumps({"input": [number / 10, 1.0, -number]}) for number in range(40)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    source = write_linear(tmp_path / "net.onnx")
    options = ("--rows", "rows.jsonl", "--columns", "a,b,c", "--labels", "low,high")
    printed = imported(source, *options)
    assert printed["proof"] in ("parity", "certified")
    [prediction] = answer(printed["archive"], tmp_path / "open", [ROW])
    assert prediction["label"] == ("low", "high")[int(np.argmax(VALUES))]


def test_a_fitted_model_becomes_an_archive_with_its_classes(imported, tmp_path):
    linear, skops = pytest.importorskip("sklearn.linear_model"), pytest.importorskip("skops.io")
    table = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    model = linear.LogisticRegression().fit(table, np.where(table[:, 0] > 0, "yes", "no"))
    skops.dump(model, tmp_path / "model.skops")
    printed = imported("model.skops", "--draft")
    [prediction] = answer(printed["archive"], tmp_path / "open", [ROW])
    assert prediction["label"] == str(model.predict(np.array([ROW]))[0])


def test_a_pickle_is_imported_with_trust_alone(imported, tmp_path, monkeypatch, capsys):
    linear, joblib = pytest.importorskip("sklearn.linear_model"), pytest.importorskip("joblib")
    joblib.dump(linear.LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0]), tmp_path / "model.joblib")
    monkeypatch.chdir(tmp_path)
    code, _, err = run("import", "model.joblib", "net", monkeypatch=monkeypatch, capsys=capsys)
    assert (code, "--trust" in err) == (1, True)
    printed = imported("model.joblib", "--draft", "--trust")
    [prediction] = answer(printed["archive"], tmp_path / "open", [[2.0]])
    assert prediction["values"] == pytest.approx([5.0])


def test_a_model_of_a_triton_repository_becomes_an_archive(imported, tmp_path):
    printed = imported(write_triton(tmp_path / "repository"), "--draft")
    [prediction] = answer(printed["archive"], tmp_path / "open", [ROW])
    assert prediction["label"] == ("low", "high")[int(np.argmax(VALUES))]


def test_an_archive_of_torchserve_becomes_one_of_ours(imported, tmp_path):
    manifest = document("old", "base_handler", serializedFile="net.onnx", modelVersion="2.9")
    members = {"net.onnx": linear_graph().SerializeToString(), MANIFEST: json.dumps(manifest).encode()}
    write_zip(tmp_path / "old.mar", members)
    (tmp_path / "row.json").write_text(json.dumps(ROW))
    printed = imported("old.mar", "--row", "row.json", "--unproven")
    assert printed["archive"] == "store/net-2.10.mar"
    [prediction] = answer(printed["archive"], tmp_path / "open", [ROW])
    assert prediction["outputs"]["y"] == pytest.approx(VALUES)


def test_a_function_becomes_an_archive(imported, tmp_path):
    (tmp_path / "network.py").write_text("import torch\n\n\ndef build():\n    return torch.nn.Flatten()\n")
    printed = imported("network.py:build", "--tensor", "input=float32[3]", "--draft")
    [prediction] = answer(printed["archive"], tmp_path / "open", [ROW])
    assert prediction["outputs"]["output_0"] == pytest.approx(ROW)


def test_a_folder_of_transformers_with_pairs_is_proven_and_answers_as_its_source(imported, tmp_path):
    transformers = pytest.importorskip("transformers")
    folder = tmp_path / "bert"
    labels = dict(enumerate(("entailment", "neutral", "contradiction")))
    module = save_bert(transformers, "BertForSequenceClassification", folder, id2label=labels)
    lines = [json.dumps({"input": [first, second]}) for first in PHRASES for second in PHRASES]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    printed = imported("bert", "--rows", "rows.jsonl")
    assert printed["proof"] in ("parity", "certified")
    signature = read_signature(tmp_path / printed["archive"])
    assert signature["input"]["pairs"] is True
    assert {tensor["name"] for tensor in signature["inputs"]} == {"input_ids", "attention_mask", "token_type_ids"}
    [prediction] = answer(printed["archive"], tmp_path / "open", [["good film", "the bad"]])
    assert prediction["label"] == expected_label(module, folder, "good film", "the bad")


def expected_label(module: Any, folder: Path, first: str, second: str) -> str:
    """The source's own answer."""
    encoding = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(first, second)
    with torch.inference_mode():
        logits = module(torch.tensor([encoding.ids]), token_type_ids=torch.tensor([encoding.type_ids])).logits
    return str(module.config.id2label[int(logits.argmax())])


def test_a_folder_of_sentence_transformers_gives_its_vectors(imported, tmp_path):
    module = save_sentence_bert(pytest.importorskip("transformers"), tmp_path / "embedder")
    printed = imported("embedder", "--draft")
    [prediction] = answer(printed["archive"], tmp_path / "open", ["the good film"])
    ids = Tokenizer.from_file(str(tmp_path / "embedder" / "tokenizer.json")).encode("the good film").ids
    with torch.inference_mode():
        mean = module(torch.tensor([ids])).last_hidden_state[0].mean(0)
    np.testing.assert_allclose(prediction["embedding"], (mean / mean.norm()).numpy(), atol=1e-5)


def test_a_classifier_of_images_prepares_them_as_its_processor_does(imported, tmp_path):
    module = save_vit(pytest.importorskip("transformers"), tmp_path / "vit")
    printed = imported("vit", "--draft", "--set", "output.top_k=0")
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (45, 70, 3), np.uint8))
    stream = io.BytesIO()
    photo.save(stream, "PNG")
    [prediction] = answer(printed["archive"], tmp_path / "open", [base64.b64encode(stream.getvalue()).decode()])
    pixels = np.asarray(photo.resize((32, 32), Image.Resampling.BILINEAR), np.float32) / 255
    pixels = (pixels - np.array(PROCESSOR["image_mean"])) / np.array(PROCESSOR["image_std"])
    with torch.inference_mode():
        logits = module(torch.tensor(pixels.transpose(2, 0, 1)[None], dtype=torch.float32)).logits[0]
    scores = dict(zip(module.config.id2label.values(), logits.softmax(0).tolist(), strict=True))
    assert prediction["scores"] == pytest.approx(scores, abs=1e-4)


def test_a_detector_is_asked_for_the_size_of_its_pictures(imported, tmp_path, monkeypatch, capsys):
    save_yolos(pytest.importorskip("transformers"), tmp_path / "yolos")
    monkeypatch.chdir(tmp_path)
    code, _, err = run("import", "yolos", "net", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 1
    assert "--set input.height=VALUE" in err
    sizes = ("--set", "input.height=32", "--set", "input.width=32", "--set", "output.threshold=0")
    printed = imported("yolos", "--draft", *sizes)
    stream = io.BytesIO()
    Image.new("RGB", (80, 40), "navy").save(stream, "PNG")
    [prediction] = answer(printed["archive"], tmp_path / "open", [base64.b64encode(stream.getvalue()).decode()])
    assert {entry["label"] for entry in prediction["objects"]} <= {"cat", "dog"}
    assert len(prediction["objects"]) == 5


def test_a_segmenters_masks_are_those_of_transformers_for_the_clients_picture(imported, tmp_path):
    transformers = pytest.importorskip("transformers")
    module = save_segformer(transformers, tmp_path / "segformer")
    printed = imported("segformer", "--draft", "--set", 'output.mask="png"')
    photo = scene(45, 70, 3)
    [prediction] = answer(printed["archive"], tmp_path / "open", [base64.b64encode(saved(photo)).decode()])
    processor = transformers.SegformerImageProcessorPil.from_pretrained(tmp_path / "segformer")
    with torch.inference_mode():
        outputs = module(**processor(photo, return_tensors="pt"))
    [expected] = processor.post_process_semantic_segmentation(outputs, [(photo.height, photo.width)])
    mask = Image.open(io.BytesIO(base64.b64decode(prediction["png"])))
    assert np.mean(np.asarray(mask) != expected.numpy()) < FEW_PIXELS
    assert len(set(prediction["shares"].values())) > 1


SPECTROGRAMS = {
    "ASTFeatureExtractor": (
        "ASTForAudioClassification",
        {"max_length": 64, "num_mel_bins": 32, "frequency_stride": 8, "time_stride": 8, "patch_size": 16, **SIZES},
        {"max_length": 64, "num_mel_bins": 32},
    ),
    "WhisperFeatureExtractor": (
        "WhisperForAudioClassification",
        {
            "max_source_positions": 50,
            "num_mel_bins": 32,
            "d_model": 16,
            "encoder_layers": 1,
            "encoder_attention_heads": 2,
        },
        {"chunk_length": 1, "feature_size": 32},
    ),
}


@pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values:UserWarning")  # of transformers
@pytest.mark.parametrize("name", SPECTROGRAMS)
def test_a_model_of_spectrograms_takes_sounds_as_its_feature_extractor_does(imported, tmp_path, name):
    transformers, soundfile = pytest.importorskip("transformers"), pytest.importorskip("soundfile")
    kind, sizes, settings = SPECTROGRAMS[name]
    torch.manual_seed(3)
    config = getattr(transformers, kind).config_class(**sizes, id2label={0: "dog", 1: "cat", 2: "owl"})
    module = getattr(transformers, kind)(config).eval()
    extractor = getattr(transformers, name)(**settings)
    module.save_pretrained(tmp_path / "ears")
    extractor.save_pretrained(tmp_path / "ears")
    printed = imported("ears", "--draft", "--set", "output.top_k=0")
    sounds, files = [], []
    for seconds in (0.3, 0.6, 2.0):
        samples = np.random.default_rng(1).normal(0, 0.1, int(16_000 * seconds)).astype(np.float32)
        stream = io.BytesIO()
        soundfile.write(stream, samples, 16_000, "FLOAT", format="WAV")
        sounds.append(samples)
        files.append(base64.b64encode(stream.getvalue()).decode())
    for prediction, samples in zip(answer(printed["archive"], tmp_path / "open", files), sounds, strict=True):
        features = extractor(samples, sampling_rate=16_000, return_tensors="pt")
        with torch.inference_mode():
            scores = module(**{module.main_input_name: features[module.main_input_name]}).logits[0].softmax(0)
        expected = dict(zip(("dog", "cat", "owl"), scores.tolist(), strict=True))
        assert prediction["scores"] == pytest.approx(expected, abs=1e-4)
