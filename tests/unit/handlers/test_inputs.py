"""What every kind whose rows are files says of them, a handler of a user's own included, and base64 in all variants."""

from __future__ import annotations

import base64
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxserve.gateway.config import Limits
from onnxserve_handlers.errors import InvalidRow, UndecodableBody
from onnxserve_handlers.inputs import BASE64, EncodedInput, OwnOptions, from_base64
from onnxserve_handlers.inputs.audio import AudioOptions
from onnxserve_handlers.inputs.image import ImageOptions
from onnxserve_handlers.inputs.tensors import TensorOptions, TensorsOptions
from onnxserve_handlers.inputs.text import TextOptions
from onnxserve_handlers.signature import FILE_BYTES


class Files(EncodedInput):
    """A handler of a user's own."""

    row_keys = ("file", "data")


class Pages(Files):
    """Files that it knows by their first bytes."""

    def raw(self, content):
        return content.startswith(b"%PDF")


def test_a_file_of_a_users_own_handler_is_described_by_the_name_before_it():
    assert Files().row_schema()["properties"] == {"file": BASE64}


def test_a_row_that_is_no_file_is_told_that_name():
    with pytest.raises(InvalidRow) as refused:
        Files().content(3, "instances[0]")
    assert refused.value.fix == 'send {"file": "<base64>"}'


@pytest.mark.parametrize("content", [b"word", b"JVBERi0xLjc=", b"%PDF-1.7", b"\xff\xfe"])
def test_bytes_of_a_kind_that_knows_no_file_stay_as_they_are(content):
    assert Files().content(content, "instances[0]") == content


@pytest.mark.parametrize(
    ("content", "file"), [(b"JVBERi0xLjc=", b"%PDF-1.7"), (b"word", b"word"), (b"%PDF-1.7", b"%PDF-1.7")]
)
def test_base64_in_place_of_bytes_is_read_if_it_stands_for_a_file(content, file):
    assert Pages().content(content, "instances[0]") == file


def test_requests_with_files_and_tensors_may_be_as_large_as_the_gateway_lets_through():
    options = (ImageOptions(height=8, width=8), AudioOptions(), TensorsOptions(tensors=(TensorOptions(name="x"),)))
    assert {kind.max_bytes for kind in options} == {FILE_BYTES} == {Limits().body_bytes}
    assert {TextOptions().max_bytes, OwnOptions().max_bytes} == {65536}


@given(st.binary(max_size=60), st.booleans(), st.sampled_from(["\n", "\r\n", " ", "\t"]), st.integers(1, 76))
def test_base64_is_read_in_either_alphabet_with_or_without_padding_in_lines_or_in_a_url(content, url_safe, gap, width):
    encoded = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(content).decode()
    lines = gap.join(encoded[at : at + width] for at in range(0, len(encoded), width))
    for text in (encoded, encoded.rstrip("="), lines, lines + gap, gap + lines.rstrip("=")):
        assert from_base64(text, "x") == content
        assert from_base64(f"data:image/png;charset=x;base64,{text}", "x") == content
        assert from_base64(f"data:;base64,{text}", "x") == content


@pytest.mark.parametrize(
    "text", ["a", "ab=c", "a===b", "ä", "data:text/plain,hello", "not base64!", "data:;base64,!", "\x00"]
)
def test_what_is_not_base64_is_refused(text):
    with pytest.raises(UndecodableBody):
        from_base64(text, "x")


@pytest.mark.parametrize("head", [";", ";a", "data:;", " "])
def test_the_head_of_a_data_url_takes_little_memory_however_long_it_is(head):
    text = "data:" + head * 100_000 + "!"
    tracemalloc.start()
    try:
        with pytest.raises(UndecodableBody):
            from_base64(text, "x")
        assert tracemalloc.get_traced_memory()[1] < 9 * len(text)
    finally:
        tracemalloc.stop()


@given(st.text(max_size=40))
def test_any_text_is_base64_or_refused(text):
    try:
        assert isinstance(from_base64(text, "x"), bytes)
    except UndecodableBody as error:
        assert error.where == "x"  # noqa: PT017 - either
