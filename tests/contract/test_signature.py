"""The records that an export writes are those that handlers read."""

from onnxserve.archive import unpack
from onnxserve.definition import read_definition
from onnxserve_handlers.registry import read_signature


def test_an_exported_signature_is_read_back(archive, definition, tmp_path):
    unpack(archive, tmp_path)
    signature = read_signature(tmp_path)
    assert (signature.model, signature.version) == ("circle", "1.0.0")
    defined = read_definition(definition)
    assert signature.input == defined.input
    assert (signature.output.task, signature.labels) == ("classification", defined.labels)
    assert [(tensor.name, tensor.dtype, tensor.shape) for tensor in signature.inputs] == [
        ("features", "float32", ("batch", 2))
    ]
    assert signature.outputs[0].shape == ("batch", 2)
