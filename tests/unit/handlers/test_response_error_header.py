"""The response to each error names its kind in a header, in every form."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

from onnxserve_handlers.protocols.v2_grpc import MEDIA as GRPC
from onnxserve_handlers.response import ERROR
from tests.helpers.fakes import POISON
from tests.helpers.inference import JSON, features, send
from tests.unit.handlers.protocols.test_v2_grpc import call
from tests.unit.handlers.protocols.test_v2_grpc import features as called


def npy(*row: float) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([row], np.float32))
    return stream.getvalue()


def v2(*row: float) -> bytes:
    return json.dumps({"inputs": [features([row])]}).encode()


def plain(*row: float) -> bytes:
    return json.dumps([*row]).encode()


def rpc(*row: float) -> bytes:
    return call(inputs=[called(*row)])


FORMS: dict[str, tuple[Any, dict[str, str]]] = {
    "json": (plain, {"content-type": JSON}),
    "v2": (v2, {"content-type": JSON}),
    "npy": (npy, {"content-type": "application/x-npy", "accept": "application/x-npy"}),
    "grpc": (rpc, {"content-type": GRPC}),
}


@pytest.mark.parametrize("form", FORMS)
def test_an_error_of_any_form_names_its_kind_and_a_success_has_no_such_header(table, form):
    body, headers = FORMS[form]
    good, wide, broken, poisoned = send(
        table, *((content, headers) for content in (body(1, 2), body(1, 2, 3), b"\xff", body(POISON, 2)))
    )
    assert ERROR not in good[1]
    assert wide[1][ERROR] == "invalid_row"
    assert broken[1][ERROR] in {"undecodable_body", "malformed_frame"}
    assert poisoned[1][ERROR] == "internal_error"
