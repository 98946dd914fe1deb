"""A TorchServe archive beside ours, migrated and served by `onnxserve serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from onnxserve.gateway import Canary
from onnxserve.migrate import read_stock, wrap
from tests.helpers import plain_http
from tests.helpers.credit import customers
from tests.helpers.serving import READY_S, Serving
from tests.helpers.stock import doubler_members, with_manifest, write_zip

BURST = 40  # more failures in a second than eject a version


def migrated(folder: Path, version: str, factor: float) -> Path:
    members = with_manifest(doubler_members(factor), modelVersion=version)
    return wrap(read_stock(write_zip(folder / "old.mar", members)), folder / "migrated")[0]


def post(server: Serving, document: Any, path: str = "/predictions/doubler") -> httpx.Response:
    return plain_http.post(f"{server.url}{path}", json=document, timeout=60)


def test_its_handler_gets_decoded_json_and_answers_beside_ours(real_models):
    assert post(real_models, {"numbers": [1, 2.5]}).json() == {"numbers": [2, 5.0]}
    assert real_models.predictions("credit", customers(1, 9))[0]["label"] in ("good", "bad")
    chosen = post(real_models, {"numbers": [1], "status": 201})
    assert (chosen.status_code, chosen.json()) == (201, {"numbers": [2]})


def test_a_form_reaches_its_handler_as_a_field(real_models):
    form = {"data": ("row.json", b'{"numbers": [4]}', "application/json")}
    answer = plain_http.post(f"{real_models.url}/predictions/doubler", files=form, timeout=60)
    assert (answer.status_code, answer.json()) == (200, {"numbers": [8]})


def test_its_faults_are_answers_with_a_type_and_do_not_eject_it(real_models):
    for _ in range(BURST):
        failed = post(real_models, {"wrong": 1})
        assert (failed.status_code, failed.json()["error"]["type"]) == (500, "internal_error")
    assert post(real_models, {"numbers": [1]}).json() == {"numbers": [2]}


def test_what_a_start_refuses_is_named_with_the_command_that_takes_it_over(real_models):
    [refused] = [event["detail"] for event in real_models.events() if "left-over.tar.gz" in event.get("detail", "")]
    assert "onnxserve migrate" in refused


def test_documents_and_console_show_an_unknown_input_and_no_proof(real_models):
    operation = plain_http.get(f"{real_models.url}/openapi.json").json()["paths"]["/predictions/doubler"]["post"]
    assert operation["summary"] == "doubler: unknown input"
    metadata = plain_http.get(f"{real_models.url}/v2/models/doubler")
    assert (metadata.status_code, "input of this model is unknown" in metadata.text) == (501, True)
    assert plain_http.get(f"{real_models.url}/v2/models/doubler/ready").json()["ready"] is True
    page = plain_http.get(f"{real_models.console}/console/data/models.json", timeout=30).json()
    [shown] = [model for model in page["models"] if model["name"] == "doubler"]
    assert shown["evidence"]["proof"] == "unproven"
    assert shown["drift"] == "no profile"
    assert "signature" not in shown


def test_its_next_version_is_registered_and_becomes_a_canary_that_is_taken_back(real_models, tmp_path):
    assert real_models.release.register(migrated(tmp_path, "1.1", 3.0)) == "1.1"
    try:
        real_models.release.management.wait_ready("doubler", "1.1", READY_S)
        assert post(real_models, {"numbers": [1]}, "/predictions/doubler/1.1").json() == {"numbers": [3]}
        real_models.release.canary("doubler", Canary("1.1", 50))
        real_models.release.rollback("doubler")
        assert post(real_models, {"numbers": [1]}).json() == {"numbers": [2]}
    finally:
        real_models.release.retire("doubler", "1.1", grace_s=0)
