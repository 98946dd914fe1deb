"""Uploads as TorchServe's documentation shows them, by curl, to an archive of ours behind the gateway."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from onnxserve.scaffold import new_model
from tests.conftest import exported
from tests.helpers.gateway import TorchServeClient, gateway_before
from tests.helpers.torchserve import running

BRIGHT = np.full((20, 24), 210, np.uint8)
CURL = str(shutil.which("curl"))


def picture(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(BRIGHT).save(stream, kind)
    return stream.getvalue()


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("files")
    (folder / "kitten.jpg").write_bytes(picture("JPEG"))
    (folder / "kitten.png").write_bytes(picture("PNG"))
    return folder


@pytest.fixture(scope="module")
def light(tmp_path_factory) -> Iterator[TorchServeClient]:
    """A small image model and the gateway before it."""
    folder: Path = tmp_path_factory.mktemp("light")
    exported(new_model("image", "light", folder / "models"), folder / "export")
    with (
        running(folder / "server", [folder / "export" / "light-1.0.0.mar"]) as server,
        gateway_before(server) as gateway,
    ):
        yield gateway


def curl(files: Path, *words: str) -> tuple[int, Any]:
    """Status and document of one command, run where the pictures lie."""
    command = [CURL, "-sS", "--noproxy", "*", "-w", "\n%{http_code}", *words]
    completed = subprocess.run(command, cwd=files, capture_output=True, text=True, check=True, timeout=60)
    body, _, status = completed.stdout.rpartition("\n")
    return int(status), json.loads(body)


@pytest.mark.parametrize(
    "words",
    [
        ["-T", "kitten.jpg"],
        ["-T", "kitten.png"],
        ["-F", "data=@kitten.jpg"],
        ["-F", "data=@kitten.png"],
        ["-F", "data=@kitten.jpg;type=image/jpg"],
        ["-F", "data=@kitten.png;type=application/octet-stream"],
        ["-F", "image=@kitten.png"],
        ["-H", "Content-Type: image/jpg", "--data-binary", "@kitten.jpg"],
        ["-X", "POST", "-H", "Content-Type:", "--data-binary", "@kitten.png"],
    ],
    ids=" ".join,
)
def test_a_picture_is_read_however_curl_sends_it(light, files, words):
    status, document = curl(files, *words, f"{light.url}/predictions/light")
    assert (status, document["predictions"][0]["label"]) == (200, "bright")


PLAIN = base64.b64encode(picture("PNG")).decode()
URL_SAFE = base64.urlsafe_b64encode(picture("PNG")).decode()
WRAPPED = base64.encodebytes(picture("PNG")).decode()


@pytest.mark.parametrize(
    "instance",
    [
        {"data": PLAIN},
        {"data": {"b64": PLAIN}},
        {"data": f"data:image/png;base64,{PLAIN}"},
        {"data": URL_SAFE.rstrip("=")},
        {"data": WRAPPED},
        PLAIN,
    ],
    ids=["data", "b64", "url", "url-safe", "wrapped", "bare"],
)
@pytest.mark.parametrize("path", ["predictions/light", "v1/models/light:predict"])
def test_pictures_in_json_are_read_in_every_base64(light, files, instance, path):
    body = json.dumps({"instances": [instance, instance]})
    status, document = curl(files, "-H", "Content-Type: application/json", "-d", body, f"{light.url}/{path}")
    assert (status, [row["label"] for row in document["predictions"]]) == (200, ["bright", "bright"])


def test_a_form_with_several_fields_is_refused_by_their_names(light, files):
    words = ("-F", "left=@kitten.jpg", "-F", "right=@kitten.png")
    status, document = curl(files, *words, f"{light.url}/predictions/light")
    assert (status, document["error"]["type"]) == (400, "undecodable_body")
    assert "left, right" in document["error"]["reason"]
