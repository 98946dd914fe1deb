"""The definition's input and the handlers' input are two records, since handlers import nothing of ours."""

import dataclasses

from onnxserve.archive import unpack
from onnxserve.definition import InputSection
from onnxserve_handlers.signature import Input, read_signature


def test_both_records_have_the_same_fields_and_defaults():
    definition_input, handler_input = InputSection(), Input()
    assert set(InputSection.__struct_fields__) == {field.name for field in dataclasses.fields(Input)}
    assert {name: getattr(definition_input, name) for name in InputSection.__struct_fields__} == dataclasses.asdict(
        handler_input
    )


def test_an_exported_signature_is_read_back(archive, tmp_path):
    unpack(archive, tmp_path)
    signature = read_signature(tmp_path)
    assert (signature.model, signature.version, signature.input.columns) == ("circle", "1.0.0", ("x", "y"))
    assert [(tensor.name, tensor.dtype, tensor.shape) for tensor in signature.inputs] == [
        ("features", "float32", ("batch", 2))
    ]
    assert signature.outputs[0].shape == ("batch", 2)
