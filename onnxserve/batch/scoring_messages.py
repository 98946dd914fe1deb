"""What a scoring process sends back: msgpack, since code of an archive could put code of its own into a pickle."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from onnxserve.archive.proof import ProofArray

from .chunk import Fault
from .scorer import Answers, Array, Form

JSON = 1  # msgpack's extension type of a prediction that is JSON already
PLAIN = (dict, list, str, int, float, type(None))


class LoadedArchive(msgspec.Struct, frozen=True, tag=True):
    """Form of the answers and deviation of the golden rows, after loading."""

    form: Form
    deviation: float


class Failure(msgspec.Struct, frozen=True, tag=True):
    """An error that the process reports and survives."""

    what: str
    where: str = ""
    fix: str = ""


class Scored(msgspec.Struct, frozen=True, tag=True):
    """The answers to some rows."""

    kept: ProofArray
    label: ProofArray | None
    score: ProofArray | None
    predictions: list[Any] | None
    outputs: ProofArray | None
    faults: dict[int, Fault]


Reply = LoadedArchive | Failure | Scored


def encode_answers(answers: Answers, *, outputs: bool) -> bytes:
    """Return answers as a message, with the graph's outputs if these are asked for."""
    scored = Scored(
        ProofArray.of(answers.kept),
        _plain(answers.label),
        _plain(answers.score),
        None if answers.predictions is None else [_portable(prediction) for prediction in answers.predictions],
        _plain(answers.outputs) if outputs else None,
        answers.faults,
    )
    return msgspec.msgpack.encode(scored)


def _portable(prediction: Any) -> Any:
    """Return a prediction, as JSON where its class is one of the archive's."""
    return prediction if isinstance(prediction, PLAIN) else msgspec.msgpack.Ext(JSON, msgspec.json.encode(prediction))


def _plain(array: Array | None) -> ProofArray | None:
    if array is None:
        return None
    return ProofArray.of(array.astype(np.str_) if array.dtype.kind == "O" else array)


def decode_reply(message: bytes) -> LoadedArchive | Failure | Answers:
    """Return what a message says; msgspec.DecodeError or ValueError for any other bytes."""
    reply: LoadedArchive | Failure | Scored = msgspec.msgpack.decode(message, type=Reply, ext_hook=_raw)
    if not isinstance(reply, Scored):
        return reply
    label, score, outputs = _array(reply.label), _array(reply.score), _array(reply.outputs)
    return Answers(reply.kept.array(), label, score, reply.predictions, outputs, reply.faults)


def _array(plain: ProofArray | None) -> Array | None:
    return None if plain is None else plain.array()


def _raw(code: int, content: memoryview) -> msgspec.Raw:
    if code != JSON:
        raise ValueError(f"an extension of type {code}")
    return msgspec.Raw(bytes(content))
