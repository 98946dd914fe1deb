"""Models of Triton repositories: what their configuration says, and which backends aren't taken."""

import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.importing.outline import Outline
from onnxserve_export.importing.triton import describes_inputs, read_triton
from onnxserve_export.sources.triton_repository import open_triton
from tests.helpers.artefacts import CONFIG, write_triton


def test_inputs_labels_and_settings_are_read_and_the_highest_version_is_taken(tmp_path):
    model = open_triton(write_triton(tmp_path))
    assert model.file == tmp_path / "linear" / "2" / "model.onnx"
    outline = Outline("repository", {})
    read_triton(outline, model)
    outline.check()
    assert outline.get("input.tensors") == [{"name": "x", "dtype": "float32", "shape": [3]}]
    assert outline.get("output.labels") == ["low", "high"]
    assert outline.get("source_outputs") == ["y"]
    settings = [outline.get(f"serve.{name}") for name in ("batch_size", "max_batch_delay_ms", "workers")]
    assert settings == [8, 2, 2]


def test_only_versions_that_the_policy_lists_are_taken(tmp_path):
    listed = CONFIG + "version_policy: { specific: { versions: [1] } }\n"
    folder = write_triton(tmp_path, listed)
    (tmp_path / "linear" / "1").mkdir(exist_ok=True)
    (tmp_path / "linear" / "1" / "model.onnx").write_bytes(b"an older graph")
    assert open_triton(folder).file == tmp_path / "linear" / "1" / "model.onnx"
    (folder / "linear" / "config.pbtxt").write_text(listed.replace("[1]", "[1, 2]"))
    assert open_triton(folder).file == tmp_path / "linear" / "2" / "model.onnx"
    (folder / "linear" / "config.pbtxt").write_text(listed.replace("[1]", "7"))
    with pytest.raises(DefinitionError, match=r"no version of 7, which version_policy lists, has model\.onnx"):
        open_triton(folder)


def test_a_configuration_without_a_backend_is_that_of_the_files_name(tmp_path):
    model = open_triton(write_triton(tmp_path, CONFIG.replace('backend: "onnxruntime"', "")))
    assert model.file == tmp_path / "linear" / "2" / "model.onnx"


def test_the_limit_of_a_free_size_is_asked_for(tmp_path):
    outline = Outline("repository", {})
    read_triton(outline, open_triton(write_triton(tmp_path, CONFIG.replace("[ 3 ]", "[ -1, 3 ]"))))
    with pytest.raises(DefinitionError, match=r"input\.limits\.x_1: the largest size"):
        outline.check()


def test_without_a_batch_of_triton_the_first_size_is_the_batch(tmp_path):
    outline = Outline("repository", {})
    config = CONFIG.replace("max_batch_size: 8", "max_batch_size: 0").replace("[ 3 ]", "[ -1, 3 ]")
    read_triton(outline, open_triton(write_triton(tmp_path, config)))
    assert outline.get("input.tensors")[0]["shape"] == [3]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('backend: "onnxruntime"', 'backend: "python"', "backend 'python' isn't taken"),
        ('backend: "onnxruntime"', 'platform: "ensemble"', "an ensemble has no graph of its own"),
        ('backend: "onnxruntime"', 'backend: "pytorch"', "no version of it has model.pt"),
    ],
)
def test_what_needs_code_or_has_no_numbers_is_refused_by_name(tmp_path, old, new, message):
    write_triton(tmp_path, CONFIG.replace(old, new))
    with pytest.raises(DefinitionError, match=message):
        read_triton(Outline("repository", {}), open_triton(tmp_path))


@pytest.mark.parametrize("inputs", ["", 'input [ { name: "x" data_type: TYPE_STRING dims: [ 1 ] } ]'])
def test_inputs_that_triton_would_read_from_the_graph_are_left_to_it(tmp_path, inputs):
    known = 'input [ { name: "x" data_type: TYPE_FP32 dims: [ 3 ] } ]'
    outline, model = Outline("repository", {}), open_triton(write_triton(tmp_path, CONFIG.replace(known, inputs)))
    read_triton(outline, model)
    assert not describes_inputs(model)
    assert outline.get("input.kind") is None
    assert outline.get("output.labels") == ["low", "high"]


def test_of_several_models_one_is_to_be_named(tmp_path):
    write_triton(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.pbtxt").write_text(CONFIG)
    with pytest.raises(DefinitionError, match="has the models linear, other"):
        open_triton(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("labels.txt", "../secret.txt", r"label_filename is '\.\./secret\.txt', the name of a file"),
        ("max_batch_size: 8", 'default_model_filename: "../../x.onnx"', "default_model_filename is"),
        ("max_batch_size: 8", 'version_policy { specific { versions: "1" } }', "version_policy lists '1'"),
        ("max_batch_size: 8", 'max_batch_size: "8"', "max_batch_size is '8', a whole number"),
        ("dims: [ 3 ]", 'dims: [ "3" ]', "dims of input x are"),
        ("dynamic_batching { max_queue_delay_microseconds: 2500 }", "dynamic_batching: true", "dynamic_batching is"),
    ],
)
def test_a_value_of_another_form_is_refused_by_name(tmp_path, old, new, message):
    write_triton(tmp_path, CONFIG.replace(old, new))
    with pytest.raises(DefinitionError, match=message):
        read_triton(Outline("repository", {}), open_triton(tmp_path))


def test_the_output_with_labels_is_the_main_one(tmp_path):
    other = 'output [ { name: "z" data_type: TYPE_FP32 dims: [ 3 ] } ]\noutput ['
    outline = Outline("repository", {})
    read_triton(outline, open_triton(write_triton(tmp_path, CONFIG.replace("output [", other))))
    assert outline.get("source_outputs") == ["y", "z"]
    assert outline.get("output.labels") == ["low", "high"]


def test_the_free_size_of_an_input_of_any_name_can_be_given(tmp_path):
    config = CONFIG.replace('name: "x"', 'name: "in:0.x"').replace("[ 3 ]", "[ -1 ]")
    outline = Outline("repository", {})
    read_triton(outline, open_triton(write_triton(tmp_path, config)))
    assert outline.get("input.tensors")[0]["shape"] == ["in_0_x_1"]
