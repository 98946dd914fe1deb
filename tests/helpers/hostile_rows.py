"""What a hostile client sends, by input kind: each body, its type, and the status, place and reason that it must get.

A status of 200 stands for what looks odd but is a row.
"""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from tests.helpers.inference import JSON
from tests.helpers.photos import saved
from tests.helpers.sounds import saved as saved_sound
from tests.helpers.task_models import RATE

ANYWHERE = "instances[0]*"  # in the row


class Attack(NamedTuple):
    """`task` names the small model that gets it; `reason` is a part of the error's, and `where` may end in a star."""

    task: str
    name: str
    body: bytes
    status: int
    where: str = ""
    reason: str = ""
    kind: str = JSON
    coding: str = ""
    protocol: str = ""  # the form that a path of the gateway stands for


def row_attack(task: str, name: str, value: Any, where: str, reason: str, status: int = 422) -> Attack:
    """Return one row in JSON."""
    return Attack(task, name, json.dumps({"instances": [value]}).encode(), status, where, reason)


def body_attack(task: str, name: str, body: bytes, status: int, where: str = "body", reason: str = "") -> Attack:
    return Attack(task, name, body, status, where, reason)


def common_attacks(task: str) -> list[Attack]:
    """Return what no kind may take."""
    deep = b"[" * 100_000 + b"]" * 100_000
    bomb = gzip.compress(b" " * 30_000_000)
    return [
        body_attack(task, "deep lists", deep, 400, reason="recursion"),
        body_attack(task, "deep objects", b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 400, reason="recursion"),
        body_attack(task, "a deep row", b'{"instances": [' + b"[" * 900 + b"]" * 900 + b"]}", 422, ANYWHERE),
        body_attack(task, "NaN", b'{"instances": [NaN]}', 400, reason="not valid JSON"),
        body_attack(task, "infinity", b'{"instances": [[1e999, 2]]}', 400, reason="out of range"),
        body_attack(task, "an integer of 400 digits", b'{"instances": [[' + b"9" * 400 + b", 1.5]]}", 422, ANYWHERE),
        body_attack(
            task, "an integer of 5000 digits", b'{"instances": [[' + b"9" * 5000 + b"]]}", 400, reason="out of range"
        ),
        body_attack(task, "half of a surrogate pair", b'{"instances": ["\\ud800"]}', 400, reason="not valid JSON"),
        body_attack(task, "an encoded surrogate", b'{"instances": ["\xed\xa0\x80"]}', 400, reason="utf-8"),
        body_attack(task, "nothing", b"", 400, reason="empty"),
        body_attack(task, "no rows", b'{"instances": []}', 400, "instances", "non-empty"),
        body_attack(task, "rows that are null", b'{"instances": null}', 400, "instances", "non-empty"),
        body_attack(task, "inputs that are null", b'{"inputs": null}', 400, "inputs", "array"),
        body_attack(task, "keys of 50,000 characters", json.dumps({"instances": [1], "x" * 50_000: 1}).encode(), 400),
        row_attack(task, "null", None, ANYWHERE, "null"),
        row_attack(task, "an empty object", {}, ANYWHERE, ""),
        row_attack(task, "an unknown key of 50,000 characters", {"x" * 50_000: 1}, ANYWHERE, ""),
        Attack(task, "a gzip bomb", bomb, 413, "body", "when inflated", coding="gzip"),
        Attack(task, "no gzip", b"{}", 400, "Content-Encoding", "not gzip", coding="gzip"),
        Attack(task, "an archive of arrays", b"PK\3\4" + bytes(99), 415, "Content-Type", "npz", "application/x-npz"),
    ]


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def image_attacks() -> list[Attack]:
    small, grey = saved(Image.new("L", (4, 4))), Image.new("L", (8, 4))
    bomb = zlib.compress(bytes(30_000_000))
    turned = Image.Exif()
    turned[0x0112] = 65_535  # no orientation
    frames = [Image.new("L", (8, 8), level) for level in range(40)]
    moving = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    size = small[:16] + struct.pack(">II", 2**31 - 1, 2**31 - 1) + small[24:]
    lines = Image.fromarray(np.random.default_rng(3).integers(0, 255, (64, 64), np.uint8))
    fax = bytearray(saved(lines.convert("1"), "TIFF", compression="group4"))
    fax[40:72] = bytes([0x5A, 0xC3, 0x00, 0x7E]) * 8

    def image(name: str, content: bytes, status: int, reason: str = "", kind: str = "image/png") -> Attack:
        return Attack("segmentation", name, content, status, "instances[0]" if status != 200 else "", reason, kind)

    return [
        image("a column of pixels", saved(Image.new("L", (1, 60_000))), 200),
        image("a line of pixels", saved(Image.new("L", (60_000, 1))), 200),
        image("too many pixels", saved(Image.new("1", (5000, 5000))), 413, "25000000 pixels"),
        image("a header of 2^62 pixels", size, 400),
        image("a text that inflates", small[:33] + chunk(b"zTXt", b"k\0\0" + bomb) + small[33:], 400),
        image("a profile that inflates", small[:33] + chunk(b"iCCP", b"k\0\0" + bomb) + small[33:], 400),
        image("50,000 chunks", small[:33] + chunk(b"tEXt", b"k\0v") * 50_000 + small[33:], 200),
        image("a file that ends early", small[:-14], 400, "cut short"),
        image("odd EXIF", saved(grey, "JPEG", exif=turned), 200, kind="image/jpeg"),
        image("many frames", moving, 200, kind="image/gif"),
        image("a damaged fax", bytes(fax), 400, kind="image/tiff"),
        row_attack("segmentation", "no base64", "!", "instances[0]", "base64", 400),
        row_attack("segmentation", "an empty text", "", "instances[0]", "not a readable image", 400),
        row_attack("segmentation", "pixels in lists", [[1, 2]], "instances[0]", "a list"),
    ]


def sound_attacks() -> list[Attack]:
    plain = saved_sound(np.zeros(16), RATE, subtype="PCM_16")

    def changed(place: int, form: str, value: int) -> bytes:
        content = bytearray(plain)
        struct.pack_into(form, content, place, value)
        return bytes(content)

    def sound(name: str, content: bytes, status: int, reason: str = "", kind: str = "audio/wav") -> Attack:
        return Attack("multilabel", name, content, status, "instances[0]" if status != 200 else "", reason, kind)

    endless = saved_sound(np.full(16, np.inf), RATE, subtype="DOUBLE")
    tag = b"ID3\4\0\0\0\0\0\0"
    return [
        *damaged_sound_attacks(),
        sound("fewer samples than there are", changed(40, "<I", 8), 400, "more samples"),
        sound("a tag before a file that ends early", tag + plain[:50], 400, "cut short"),
        sound("a tag before a sound", tag + plain, 200),
        sound("nothing but tags", tag * 9999, 400, "tags"),
        sound("a tag longer than the file", b"ID3\4\0\0\x7f\x7f\x7f\x7f", 400),
        sound("a length that an encoder to a pipe writes", changed(40, "<I", 2**32 - 1), 200),
        sound("more samples than there are", changed(40, "<I", 4000), 400, "cut short"),
        sound("a file that ends early", plain[:50], 400, "cut short"),
        sound(
            "a thousand chunks before the samples", plain[:12] + (b"junk" + bytes(4)) * 1000 + plain[12:], 400, "chunks"
        ),
        sound("no samples", plain[:40] + bytes(4), 422, "at least one sample"),
        sound("a rate of 0", changed(24, "<I", 0), 400),
        sound("a rate of 999,999", changed(24, "<I", 999_999), 422, "999999 Hz"),
        sound("65,535 channels", changed(22, "<H", 65_535), 400),
        sound("nine channels", saved_sound(np.zeros((16, 9)), RATE), 422, "9 channels"),
        sound("5 s of 1", saved_sound(np.zeros(5 * RATE), RATE), 413, "5 s long"),
        sound("infinite samples", endless, 422, "beyond 8"),
        sound("a FLAC that ends early", saved_sound(np.zeros(900), RATE, "FLAC")[:60], 400, kind="audio/flac"),
        row_attack("multilabel", "booleans", [True, False], "instances[0]", "true or false"),
        row_attack("multilabel", "a boolean among numbers", [True, 0.5], "instances[0]", "other values"),
        row_attack("multilabel", "no list of samples", {"array": None, "sampling_rate": RATE}, "instances[0]", "null"),
        row_attack(
            "multilabel", "a negative rate", {"array": [0.1], "sampling_rate": -1}, "instances[0].sampling_rate", "1000"
        ),
        row_attack("multilabel", "a number beyond 64 bits", [2**70, 0.5], "instances[0]", "64 bits"),
    ]


def damaged_sound_attacks() -> list[Attack]:
    """Return files of each format without their ends, and with a byte in their middle that isn't theirs."""
    noise = np.random.default_rng(5).normal(0, 0.1, 7000)
    files = {kind: saved_sound(noise, 8000, kind) for kind in ("FLAC", "OGG", "MP3")}
    attacks = []
    for kind, content in files.items():
        media = {"MP3": "audio/mpeg"}.get(kind, f"audio/{kind.lower()}")
        for name, part in (
            ("a byte", content[:-1]),
            ("the end", content[:-300]),
            ("half", content[: len(content) // 2]),
        ):
            attacks.append(Attack("multilabel", f"{kind} without {name}", part, 400, "instances[0]", "", media))
    page = files["OGG"].rindex(b"OggS")
    changed = bytearray(files["OGG"])
    changed[page - 40] ^= 1
    beside = bytes(changed)
    frame = bytearray(files["FLAC"])
    frame[-2000] ^= 1
    noisy = bytearray(files["MP3"])
    noisy[1200:2400] = np.random.default_rng(6).integers(0, 256, 1200, np.uint8).tobytes()
    ogg = {"without its last page": files["OGG"][:page], "with a damaged page": beside, "twice": files["OGG"] * 2}
    attacks += [Attack("multilabel", f"OGG {n}", c, 400, "instances[0]", "", "audio/ogg") for n, c in ogg.items()]
    return [
        *attacks,
        Attack("multilabel", "a damaged FLAC", bytes(frame), 400, "instances[0]", "", "audio/flac"),
        Attack("multilabel", "an MP3 with noise in it", bytes(noisy), 400, "instances[0]", "", "audio/mpeg"),
        Attack("multilabel", "no frame of an MP3", b"\xff\xfb\x90\xc0" * 3000, 400, "instances[0]", "", "audio/mpeg"),
    ]


def text_attacks() -> list[Attack]:
    mask = {"name": "attention_mask", "shape": [1, 2], "datatype": "INT64", "data": [1, 1]}
    ids = {**mask, "name": "input_ids", "data": [2, 3]}

    def tensors(name: str, where: str, *inputs: Any) -> Attack:
        return body_attack("classification", name, json.dumps({"inputs": inputs}).encode(), 422, where)

    def top_k_attack(name: str, value: Any) -> Attack:
        body = json.dumps({"instances": ["late"], "parameters": {"top_k": value}}).encode()
        return body_attack(
            "classification", name, body, 200 if type(value) is int and value >= 0 else 422, "parameters.top_k"
        )

    return [
        row_attack("classification", "combining marks alone", "\u0301\u0302", "", "", 200),
        row_attack("classification", "a text of spaces", " \t\u2003", "instances[0]", "empty"),
        row_attack("classification", "a million words", "a " * 1_000_000, "instances[0]", "1000000 tokens"),
        row_attack("classification", "a word in a list", ["late"], "instances[0]", "a list"),
        row_attack("tokens", "no words", [], "instances[0]", "a list"),
        row_attack("tokens", "a blank word", ["Ann", " "], "instances[0][1]", "empty"),
        row_attack("tokens", "a number among words", ["Ann", 1], "instances[0][1]", "a number"),
        row_attack("tokens", "words in words", [["Ann"]], "instances[0][0]", "a list"),
        row_attack("rerank", "three texts", ["a", "b", "c"], "instances[0]", "a list of 3"),
        row_attack("rerank", "half a pair", ["late", None], "instances[0].text_pair", "null"),
        row_attack("rerank", "one text", {"text": "late"}, "instances[0]", "a string"),
        Attack("classification", "Latin-1", b"late \xe9", 400, "instances[0]", "UTF-8", "text/plain"),
        top_k_attack("a million labels", 10**6),
        top_k_attack("more labels than a machine's word", 10**60),
        top_k_attack("labels below 0", -1),
        top_k_attack("half a label", 1.5),
        top_k_attack("true labels", True),
        top_k_attack("labels in words", "3"),
        tensors("an id below 0", "inputs.input_ids", {**ids, "data": [-1, 2]}, mask),
        tensors("an id beyond the vocabulary", "inputs.input_ids", {**ids, "data": [10**9, 2]}, mask),
        tensors("a mask of 2", "inputs.attention_mask", ids, {**mask, "data": [1, 2]}),
        tensors("a mask of nothing", "inputs.attention_mask", ids, {**mask, "data": [0, 0]}),
        tensors("a shape below 0", "inputs.input_ids", {**ids, "shape": [-1, 2]}, mask),
        tensors("a shape of 2^63 elements", "inputs.input_ids", {**ids, "shape": [2**62, 2]}, mask),
    ]


def table_attacks() -> list[Attack]:
    twice = b'{"instances": [{"rooms": 1, "rooms": 3, "age": 1}]}'
    return [
        body_attack("regression", "a column twice: the last one counts", twice, 200),
        body_attack(
            "regression", "rows and null under another name", b'{"instances": null, "row": [1, 2]}', 400, "instances"
        ),
        body_attack(
            "regression", "null beside a row", b'{"features": [1, 2], "row": null}', 422, "instances[0]", "unknown"
        ),
        row_attack("regression", "a missing column", {"rooms": 1}, "instances[0]", "missing columns ['age']"),
        row_attack(
            "regression", "an unknown column", {"rooms": 1, "age": 1, "x": 1}, "instances[0]", "unknown columns ['x']"
        ),
        row_attack("regression", "a null", [1, None], "instances[0].age", "null"),
        row_attack("regression", "a boolean", [1, True], "instances[0].age", "true or false"),
        row_attack("regression", "a number in quotes", ["1", 2], "instances[0].rooms", "a string"),
        row_attack("regression", "a number beyond float32", [1e39, 2], "instances[0].rooms", "not finite"),
        row_attack("regression", "too few values", [1], "instances[0]", "1 values"),
        row_attack("regression", "nested values", [[1], 2], "instances[0].rooms", "a list"),
    ]


def array_attacks() -> list[Attack]:
    return [
        row_attack("raw", "no elements", [], "instances[0].reading", "shape (0,), expected ('time',)"),
        row_attack("raw", "too many elements", [0] * 10, "instances[0]", "10 long, at most 9"),
        row_attack("raw", "a ragged array", [[1], [1, 2]], "instances[0].reading", "rectangular"),
        row_attack("raw", "booleans", [True], "instances[0].reading", "bool"),
        row_attack("raw", "a boolean among numbers", [True, 1.5], "instances[0].reading", "other values"),
        row_attack("raw", "texts", ["1"], "instances[0].reading", "other values"),
        row_attack("raw", "a scalar", 1, "instances[0].reading", "shape ()"),
        row_attack("raw", "another input", {"x": [1]}, "instances[0]", "['x']"),
        row_attack("raw", "a number beyond float32", [1e300], "instances[0].reading", "not finite"),
        row_attack("raw", "an integer beyond 64 bits", [2**64], "instances[0].reading", "64 bits"),
        body_attack(
            "raw", "forty lists", b'{"instances": [' + b"[" * 40 + b"1" + b"]" * 40 + b"]}", 422, "instances[0].reading"
        ),
        npy_attack("a header of 10^9 rows", "(1000000000, 2)"),
        npy_attack("a header of no rows", "(0, 2)"),
    ]


def npy_attack(name: str, shape: str) -> Attack:
    """Return an `.npy` file of a shape without elements."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    return Attack("raw", name, content, 400, "body", "", "application/x-npy")


def form_attacks() -> list[Attack]:
    """Return what the forms of other servers' clients may not have."""

    def embeddings(name: str, status: int, where: str, reason: str = "", **document: Any) -> Attack:
        return Attack("embedding", name, json.dumps(document).encode(), status, where, reason, protocol="embeddings")

    def rerank(name: str, status: int, where: str, reason: str = "", **document: Any) -> Attack:
        return Attack("rerank", name, json.dumps(document).encode(), status, where, reason, protocol="rerank")

    return [
        embeddings("no input", 400, "body", "input"),
        embeddings("a null for input", 422, "input", "text", input=None),
        embeddings("an object for input", 422, "input", "text", input={"text": "a"}),
        embeddings("an empty list of inputs", 400, "input", "non-empty", input=[]),
        embeddings("an empty input", 422, "input[0]", "empty", input=""),
        embeddings("an input of spaces", 422, "input[1]", "empty", input=["kind", " "]),
        embeddings("token ids", 422, "input", "list of texts", input=[1, 2]),
        embeddings("lists of token ids", 422, "input", "list of texts", input=[[1, 2]]),
        embeddings("inputs of two types", 422, "input", "list of texts", input=["a", 1]),
        embeddings("too many inputs", 413, "input", "rows", input=["kind"] * 5000),
        embeddings("too long an input", 422, "input[0]", "tokens", input="kind " * 17),
        embeddings("an unknown encoding", 400, "body", "encoding_format", input="kind", encoding_format="hex"),
        embeddings("dimensions of 0", 422, "dimensions", "length", input="kind", dimensions=0),
        embeddings("dimensions in words", 400, "body", "dimensions", input="kind", dimensions="two"),
        embeddings("dimensions of 2^70", 422, "dimensions", "length", input="kind", dimensions=2**70),
        embeddings("half a dimension", 400, "body", "dimensions", input="kind", dimensions=1.5),
        embeddings("a number for the model", 400, "body", "model", input="kind", model=1),
        Attack("embedding", "a list in place of the form", b"[1]", 400, "body", "", protocol="embeddings"),
        Attack("embedding", "no JSON in the form", b"{", 400, "body", "", protocol="embeddings"),
        Attack("regression", "embeddings of a table", b'{"input": "a"}', 422, "model", "", protocol="embeddings"),
        rerank("no query", 400, "body", "query", documents=["kind"]),
        rerank("a null for a query", 400, "body", "query", query=None, documents=["kind"]),
        rerank("a list for a query", 400, "body", "query", query=["a"], documents=["kind"]),
        rerank("an empty query", 422, "query", "empty", query=" ", documents=["kind"]),
        rerank("no documents", 400, "documents", "no documents", query="kind"),
        rerank("an empty list of documents", 400, "documents", "no documents", query="kind", documents=[]),
        rerank("a text for documents", 400, "body", "documents", query="kind", documents="kind"),
        rerank("a number among documents", 400, "body", "documents", query="kind", documents=["a", 1]),
        rerank("a document without a text", 400, "body", "text", query="kind", documents=[{"title": "a"}]),
        rerank("an empty document", 422, "documents[1]", "empty", query="kind", documents=["late", ""]),
        rerank("an empty text", 422, "texts[0]", "empty", query="kind", texts=[""]),
        rerank("too long a document", 422, "documents[0]", "tokens", query="kind", documents=["late " * 20]),
        rerank("too many documents", 413, "documents", "rows", query="kind", documents=["late"] * 5000),
        rerank("a best of 0", 400, "body", "top_n", query="kind", documents=["late"], top_n=0),
        rerank("a best below 0", 400, "body", "top_n", query="kind", documents=["late"], top_n=-1),
        rerank("a best in words", 400, "body", "top_n", query="kind", documents=["late"], top_n="2"),
        rerank("more than there are", 200, "", "", query="kind", documents=["late"], top_n=10**6),
        Attack("rerank", "a text in place of the form", b'"kind"', 400, "body", "", protocol="rerank"),
        Attack("classification", "a ranking of a classifier", b'{"query": "a", "documents": ["b"]}', 422, "model", "",
               protocol="rerank"),
    ]  # fmt: skip


def tensor_attacks() -> list[Attack]:
    """Return inference requests of V2 that don't fit a graph of one input."""

    def v2(attack: str, where: str, reason: str, status: int = 422, /, **changes: Any) -> Attack:
        tensor = {"name": "reading", "shape": [1, 2], "datatype": "FP32", "data": [1.5, 2]} | changes
        sent = {key: value for key, value in tensor.items() if value is not ...}
        return Attack("raw", attack, json.dumps({"inputs": [sent]}).encode(), status, where, reason, protocol="v2")

    whole: dict[str, Any] = {"name": "reading", "shape": [1, 1], "datatype": "FP32", "data": [1]}
    reading = "inputs.reading"
    return [
        v2("no name", "inputs", "name", 400, name=...),
        v2("a number for a name", "inputs", "name", 400, name=1),
        v2("another name", "inputs", "expected", name="x"),
        v2("no shape", "inputs", "shape", 400, shape=...),
        v2("a text for a shape", "inputs", "shape", 400, shape="1,2"),
        v2("half a size", "inputs", "shape", 400, shape=[1, 1.5]),
        v2("a size beyond 64 bits", reading, "shape", shape=[1, 2**70]),
        v2("an empty shape", reading, "shape", shape=[]),
        v2("a size of 0", reading, "shape", shape=[1, 0]),
        v2("a shape of too many axes", reading, "shape", shape=[1] * 99 + [2]),
        v2("a shape of more elements", reading, "shape", shape=[2, 2]),
        v2("no type", "inputs", "datatype", 400, datatype=...),
        v2("an unknown type", reading, "datatype", datatype="STRING"),
        v2("texts of a type of numbers", reading, "not FP32", data=["1.5", "2"]),
        v2("booleans for floats", reading, "", data=[True, False]),
        v2("null elements", reading, "not FP32", data=[None, 1]),
        v2("no data", reading, "", data=...),
        v2("ragged elements", reading, "rectangular", data=[[1, 2], [3]]),
        v2("objects for elements", reading, "", data={"a": 1}),
        v2("a fraction of a whole type", reading, "", datatype="INT32"),
        v2("numbers beyond their type", reading, "fit", datatype="INT8", data=[1, 999]),
        v2("numbers beyond a float", reading, "not finite", data=[1e300, 1]),
        v2("too long an axis", "inputs", "long", shape=[1, 10], data=[0] * 10),
        v2("too many rows", "inputs", "rows", 413, shape=[5000, 1], data=[0] * 5000),
        v2("a text for parameters", "inputs", "parameters", 400, parameters="a"),
        v2("a size of bytes that aren't there", reading, "bytes are left", 400, parameters={"binary_data_size": 8}),
        v2("a negative size of bytes", reading, "bytes are left", 400, parameters={"binary_data_size": -8}),
        v2("a true size of bytes", reading, "bytes are left", 400, parameters={"binary_data_size": True}),
        v2("texts of BYTES", "inputs", "BYTES", datatype="BYTES", shape=[1], data=["a"]),
        body_attack("raw", "an object of inputs", json.dumps({"inputs": whole}).encode(), 400, "inputs"),
        body_attack("raw", "no inputs", b'{"inputs": []}', 400, "inputs", "names []"),
        body_attack("raw", "an input twice", json.dumps({"inputs": [whole, whole]}).encode(), 400, "inputs", "reading"),
        body_attack("raw", "a number for an id", json.dumps({"inputs": [whole], "id": 1}).encode(), 400, "inputs",
             "id"),
        body_attack("raw", "unknown outputs", json.dumps({"inputs": [whole], "outputs": [{"name": "x"}]}).encode(), 422,
             "outputs", "['x']"),
        body_attack("raw", "ranked numbers without labels", json.dumps(
            {"inputs": [whole], "outputs": [{"name": "largest", "parameters": {"classification": 1}}]}).encode(), 422,
            "outputs.largest.classification", "ranked"),
    ]  # fmt: skip


KINDS_TASKS = ("classification", "tokens", "rerank", "segmentation", "multilabel", "regression", "raw")
ATTACKS = [
    *(attack for task in KINDS_TASKS for attack in common_attacks(task)),
    *image_attacks(),
    *sound_attacks(),
    *text_attacks(),
    *table_attacks(),
    *array_attacks(),
    *form_attacks(),
    *tensor_attacks(),
]
