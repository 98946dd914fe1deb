"""Compressed text is read whole or not at all: a file that is cut off or damaged is named and loses no row."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from onnxserve.batch.text_stream import TextStream
from onnxserve.errors import BatchError

TEXT = "".join(f"{row},{row * 37 % 101}\n" for row in range(20_000)).encode()
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda content: pa.Codec("zstd").compress(content, asbytes=True),
}


def read(path: Path, place: int = 0) -> bytes:
    with TextStream(str(path)) as stream:
        stream.advance(place)
        return b"".join(iter(lambda: stream.read(1000), b""))


@pytest.mark.parametrize("suffix", PACKED)
def test_compressed_text_is_read_from_any_place_and_its_pieces_follow_each_other(tmp_path, suffix):
    path = tmp_path / f"rows.csv.{suffix}"
    path.write_bytes(PACKED[suffix](TEXT[:5000]) + PACKED[suffix](TEXT[5000:]))
    assert read(path) == TEXT
    assert read(path, 70_001) == TEXT[70_001:]


def test_plain_text_is_read_from_any_place(tmp_path):
    (tmp_path / "rows.csv").write_bytes(TEXT)
    assert read(tmp_path / "rows.csv", 70_001) == TEXT[70_001:]


@pytest.mark.parametrize("suffix", PACKED)
def test_a_compressed_file_that_is_cut_off_is_refused_by_name(tmp_path, suffix):
    path = tmp_path / f"rows.csv.{suffix}"
    path.write_bytes(PACKED[suffix](TEXT)[:-20])
    with pytest.raises(BatchError, match="can't be read to its end") as refusal:
        read(path)
    assert (refusal.value.where, refusal.value.fix) == (
        str(path),
        "the file is cut off or damaged: fetch or pack it again",
    )


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])  # zstd has no check unless it is asked for one
def test_a_compressed_file_that_is_damaged_is_refused(tmp_path, suffix):
    path = tmp_path / f"rows.csv.{suffix}"
    content = bytearray(PACKED[suffix](TEXT))
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(BatchError, match="can't be read to its end"):
        read(path)


def test_a_file_that_only_has_the_name_of_a_compressed_one_is_refused(tmp_path):
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(TEXT)
    with pytest.raises(BatchError, match="Not a gzipped file"):
        read(path)
