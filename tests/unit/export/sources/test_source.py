"""Which input of a model each of the handler's tensors is."""

import numpy as np
import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.source_check import unbatched_outputs
from onnxserve_export.sources.source import InputSpec, SourceModel, check_rows, match_inputs, output_names


class Fake(SourceModel):
    name = "fake"
    summary = ""
    free_axis_fix = ""

    def __init__(self, *inputs: InputSpec) -> None:
        self.inputs = inputs

    def answer(self, arrays):
        raise NotImplementedError

    def runner(self, threads):
        raise NotImplementedError

    def graph(self, example, axes):
        raise NotImplementedError


ROWS = np.zeros((2, 3), np.float32)


def test_the_only_tensor_is_the_only_input_whatever_their_names():
    assert match_inputs(Fake(InputSpec("x")), {"features": ROWS}) == {"features": "x"}
    optional = InputSpec("mask", required=False)
    assert match_inputs(Fake(InputSpec("x"), optional), {"features": ROWS}) == {"features": "x"}


def test_the_only_tensor_beside_a_mask_is_the_only_input_beside_one():
    mask = InputSpec("attention_mask", required=False)
    sounds = {"audio": ROWS, "attention_mask": ROWS}
    expected = {"audio": "input_values", "attention_mask": "attention_mask"}
    assert match_inputs(Fake(InputSpec("input_values"), mask), sounds) == expected
    with pytest.raises(DefinitionError, match=r"gives \['audio', 'attention_mask'\], which the model doesn't take"):
        match_inputs(Fake(InputSpec("input_values")), sounds)
    with pytest.raises(DefinitionError, match=r"wants \['input_values', 'attention_mask'\]"):
        match_inputs(Fake(InputSpec("input_values"), InputSpec("attention_mask")), {"audio": ROWS})


def test_several_inputs_are_matched_by_name_in_the_models_order():
    model = Fake(InputSpec("ids"), InputSpec("mask"), InputSpec("types", required=False))
    assert list(match_inputs(model, {"mask": ROWS, "ids": ROWS})) == ["ids", "mask"]


def test_a_model_that_takes_anything_gets_the_handlers_names():
    assert match_inputs(Fake(), {"a": ROWS, "b": ROWS}) == {"a": "a", "b": "b"}


def test_all_differences_of_names_are_said_at_once():
    with pytest.raises(DefinitionError, match=r"wants \['mask'\].* and the handler gives \['types'\]"):
        match_inputs(Fake(InputSpec("ids"), InputSpec("mask")), {"ids": ROWS, "types": ROWS})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (InputSpec("x", shape=("batch", 4)), r"x has shape \(2, 3\), \(batch, 4\) is expected"),
        (InputSpec("x", shape=("batch", 3, 1)), r"x has shape \(2, 3\), \(batch, 3, 1\) is expected"),
        (InputSpec("x", dtype="int64"), "x is float32, int64 is expected"),
    ],
)
def test_a_tensor_of_another_shape_or_type_is_refused(spec, message):
    with pytest.raises(DefinitionError, match=message):
        match_inputs(Fake(spec), {"x": ROWS})


def test_a_type_that_holds_the_same_kind_of_number_fits():
    assert match_inputs(Fake(InputSpec("x", dtype="float64", shape=("n", "width"))), {"x": ROWS}) == {"x": "x"}


def test_an_output_named_like_a_tensor_gets_another_name():
    assert output_names(["x", "y"], {"x": ROWS}) == ["x_output", "y"]


@pytest.mark.parametrize("array", [np.float32(3), np.zeros((3, 2))])
def test_an_output_without_a_row_for_each_row_is_named(array):
    with pytest.raises(DefinitionError, match=r"output loss of the fake model has shape"):
        check_rows({"logits": np.zeros(2), "loss": np.asarray(array)}, 2, "fake")


class Detector(Fake):
    """Gives boxes without an axis for the batch, and a number with one."""

    def answer(self, arrays):
        return {"boxes": np.zeros((len(arrays["x"][0]), 4)), "count": np.ones(1)}


def test_an_output_without_a_batch_gets_one_and_what_is_not_known_to_lack_it_is_refused():
    model, row = Detector(), {"x": np.zeros((1, 5))}
    with pytest.raises(DefinitionError, match=r"output boxes of the fake model has shape \(5, 4\) for 1 rows"):
        model.run(row)
    model.unbatched = unbatched_outputs(model, [{"x": np.zeros((1, 1))}, row])
    assert model.unbatched == {"boxes"}
    assert {name: array.shape for name, array in model.run(row).items()} == {"boxes": (1, 5, 4), "count": (1,)}
