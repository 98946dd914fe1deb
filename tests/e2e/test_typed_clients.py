"""Clients of the real server: the Python client, and those that `onnxserve client` writes in Python and TypeScript."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import zipfile
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxserve import AsyncClient, Client, RowError
from onnxserve.client.predictions import Classification
from onnxserve.codegen import archive_contract, python_client, server_contract, typescript_client
from tests.helpers.gateway import TorchServeClient
from tests.helpers.npm import install_packages
from tests.helpers.torchserve import ROOT

MODELS = ("churn", "digits", "segment", "sentiment")
TYPESCRIPT = ROOT / "tests" / "typescript"
TSC = ("--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--noUnusedLocals")
TSC_TARGET = ("--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom,dom.iterable")
USE = """
from typing import assert_type

from onnxserve import Client, RowError
from segment_client import Label, Prediction, Row, SegmentClient
from sentiment_client import Row as Text
from digits_client import Row as Picture
from churn_client import CustomerIdRow, Row as Customer

client = SegmentClient(Client())
assert_type(client.predict([]), list[Prediction | RowError])
assert_type(Prediction(label="sky", score=1).label, Label)
Prediction(label="cloud", score=1)  # type: ignore[arg-type]
Row()  # type: ignore[call-arg]
SegmentClient(Client(), parameters={"top_k": 3})
SegmentClient(Client(), parameters={"top_k": "many"})  # type: ignore[arg-type]
SegmentClient(Client(), parameters={"top": 3})  # type: ignore[arg-type]
Text(text=1)  # type: ignore[arg-type]
Text(text="good film")
Picture(image=b"png")
CustomerIdRow(customer_id=1, basket=2.5)
Customer(tenure=1, balance=1, purchases=1, idle_days=1, tickets=1, basket=1)
"""


def golden(model: str) -> tuple[list[Any], list[str]]:
    """Golden rows of a model, and torch's label for each."""
    with zipfile.ZipFile(archive_of(model)) as archive:
        rows = json.loads(archive.read("golden.json"))
        labels = json.loads(archive.read("signature.json"))["output"]["labels"]
    return rows["instances"], [labels[int(np.argmax(row))] for row in rows["outputs"]]


def archive_of(model: str) -> Path:
    return ROOT / "model_store" / f"{model}-1.0.0.mar"


def labels(predictions: list[Any]) -> list[str]:
    return ["error" if isinstance(answer, RowError) else answer.label for answer in predictions]


@pytest.mark.parametrize("grpc", [False, True], ids=["http", "grpc"])
def test_predictions_are_the_sources(demo_gateway: TorchServeClient, grpc):
    with Client(demo_gateway.url, grpc=grpc) as client:
        for model in ("segment", "sentiment"):
            rows, expected = golden(model)
            assert labels(client.predict(model, rows)) == expected
        rows, expected = golden("segment")
        table = np.array(rows, np.float64)
        assert labels(client.predict("segment", table)) == expected
        assert client.infer("segment", {"features": table}, ["label"])["label"].tolist() == expected
        streamed = list(client.stream("segment", (rows[index % len(rows)] for index in range(1000))))
        assert labels(streamed) == [expected[index % len(rows)] for index in range(1000)]
        mixed = client.predict("sentiment", ["good film", "good " * 500, "bad film"])
        assert [type(answer) for answer in mixed] == [Classification, RowError, Classification]
        assert isinstance(mixed[1], RowError)
        assert mixed[1].where.startswith("instances[1]")


def test_pictures_are_bytes(demo_gateway: TorchServeClient):
    rows, expected = golden("digits")
    files = [b64decode(row["image"] if isinstance(row, dict) else row) for row in rows]
    with Client(demo_gateway.url) as client, Client(demo_gateway.url, grpc=True) as calling:
        assert labels(client.predict("digits", files)) == expected
        assert labels(calling.predict("digits", [{"image": file} for file in files])) == expected


def test_many_clients_ask_at_once(demo_gateway: TorchServeClient):
    rows, expected = golden("segment")

    async def calls() -> None:
        async with AsyncClient(demo_gateway.url) as client:
            answers = await asyncio.gather(*(client.predict("segment", rows) for _ in range(20)))
            assert [labels(predictions) for predictions in answers] == [expected] * 20

    asyncio.run(calls())


def test_archive_and_server_say_the_same_of_a_model(demo_gateway: TorchServeClient):
    with Client(demo_gateway.url) as client:
        openapi = client.openapi()
    for model in MODELS:
        own, online = archive_contract(archive_of(model)), server_contract(openapi, model)
        assert python_client(own) == python_client(online)
        assert typescript_client(own) == typescript_client(online)


def test_written_clients_are_what_mypy_takes_them_for(demo_gateway: TorchServeClient, tmp_path):
    program = str(Path(sys.executable).with_name("onnxserve"))
    for model in MODELS:
        path = tmp_path / f"{model}_client.py"
        words = [program, "client", model, "--url", demo_gateway.url, "-o", str(path)]
        subprocess.run(words, check=True, cwd=tmp_path, capture_output=True)
    (tmp_path / "use.py").write_text(USE)
    mypy = [str(Path(sys.executable).with_name("mypy")), "--config-file", str(ROOT / "pyproject.toml")]
    checked = subprocess.run(
        [*mypy, *map(str, sorted(tmp_path.glob("*.py")))],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_a_written_client_asks(demo_gateway: TorchServeClient, tmp_path, monkeypatch):
    (tmp_path / "segment_client.py").write_text(python_client(archive_contract(archive_of("segment"))))
    monkeypatch.syspath_prepend(tmp_path)
    from segment_client import Row, SegmentClient  # type: ignore[import-not-found]  # it was just written

    rows, expected = golden("segment")
    typed = [Row(**dict(zip(Row.__annotations__, row, strict=True))) for row in rows]
    with Client(demo_gateway.url) as client:
        assert labels(SegmentClient(client).predict(typed)) == expected
        assert labels(list(SegmentClient(client).stream(typed))) == expected


@pytest.fixture(scope="module")
def compiler(tmp_path_factory) -> Path:
    """A folder with the compiler, installed once."""
    folder: Path = tmp_path_factory.mktemp("typescript")
    for name in ("package.json", "package-lock.json", "ask.ts"):
        shutil.copy(TYPESCRIPT / name, folder)
    install_packages(folder)
    return folder


def test_a_client_in_typescript_is_compiled_and_asks(demo_gateway: TorchServeClient, compiler):
    (compiler / "client.ts").write_text(typescript_client(archive_contract(archive_of("segment"))))
    for model in ("churn", "digits", "sentiment"):
        (compiler / f"{model}.ts").write_text(typescript_client(archive_contract(archive_of(model))))
    sources = sorted(path.name for path in compiler.glob("*.ts"))
    command = [str(compiler / "node_modules" / ".bin" / "tsc"), *TSC, *TSC_TARGET, *sources]
    compiled = subprocess.run(command, cwd=compiler, capture_output=True, text=True, check=False)
    assert compiled.returncode == 0, compiled.stdout
    rows, expected = golden("segment")
    node = shutil.which("node")
    assert node
    words = [node, "ask.js", demo_gateway.url, json.dumps(rows), ""]
    ended = subprocess.run(words, cwd=compiler, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    answers = json.loads(ended.stdout)
    assert answers["labels"] == expected
    assert [scores[0] for scores in answers["scores"]] == expected
    assert {len(scores) for scores in answers["scores"]} == {2}
    assert answers["mixed"] == [expected[0], "error", expected[2]]
    assert (answers["error"]["type"], answers["error"]["row"]) == ("invalid_row", 1)
    assert answers["error"]["where"].startswith("instances[1]")
    assert answers["streamed"] == [expected[index % len(rows)] for index in range(1000)]
    assert answers["failure"] == [404, "not_found"]
    assert answers["nobody"] == 0
    assert set(answers["redirects"]) == {"error"}  # another server would get the key
    assert answers["left"] == [3, 2]  # the first was answered; the end of the stream ends the others
    assert "invalid_header: the value of x-api-key" in answers["secret"]
    assert "geheim" not in answers["secret"]
    assert "foreign_answer" in answers["foreign"]
    assert "invalid_row: a row has an infinite number" in answers["infinite"]
    assert answers["base64"] == "iVBORw=="
