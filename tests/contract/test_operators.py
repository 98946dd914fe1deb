"""Operators move roles from the console's port, and nobody else does: a real gateway, and its service."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

from onnxserve.admin.steps import plan
from onnxserve.gateway.config import Deadline
from onnxserve.release import ReleaseService
from tests.helpers import plain_http
from tests.helpers.administration import Administered, administered
from tests.helpers.fakes import FakeTorchServe
from tests.helpers.gateway import Client
from tests.helpers.releases import release

CANARY = {"action": "canary", "model": "demo", "version": "2.0", "percent": 25}
CHANGES = ["demo canary: none -> 2.0 at 25 %"]
ACCEPTED = {"step": CANARY, "changes": CHANGES}


@pytest.fixture
def steps(client: Client, tmp_path) -> Iterator[ReleaseService]:
    """Release steps that the running gateway confirms."""
    service = release(tmp_path, FakeTorchServe(["1.0", "2.0"]))
    service.role_store.record_start(client.gateway)
    yield service
    service.role_store.record_stop()


@pytest.fixture
def console(client: Client, steps: ReleaseService, tmp_path) -> Iterator[Administered]:
    with administered(client, steps, tmp_path / "admin") as service:
        yield service


def canary(steps: ReleaseService) -> str:
    """Return the version that is the canary; empty for none."""
    model = steps.role_store.roles.models.get("demo")
    return model.canary.version if model and model.canary else ""


def test_a_step_is_planned_and_taken_and_the_history_names_the_key(console, steps, client, tmp_path):
    key = console.key()
    plan = console.post("plan", CANARY, key).raise_for_status().json()
    assert plan["changes"] == CHANGES
    assert plan["on_failure"]
    assert canary(steps) == ""
    applied = console.post("apply", ACCEPTED, key)
    assert applied.json() == {"changes": CHANGES, "warning": ""}
    assert canary(steps) == "2.0"
    answers = {client.post().headers["x-onnxserve-version"] for _ in range(100)}
    assert answers == {"1.0", "2.0"}
    [line] = (tmp_path / "releases.jsonl").read_text().splitlines()
    event = json.loads(line)
    assert (event["action"], event["version"], event["changes"]) == ("canary", "2.0", CHANGES)
    assert event["by"].startswith("ops (key ")
    assert key not in line


def test_an_operator_promotes_and_rolls_back(console, steps):
    key = console.key()
    for step, stable in (
        ({"action": "promote", "model": "demo", "version": "2.0"}, "2.0"),
        ({"action": "rollback", "model": "demo"}, "1.0"),
    ):
        changes = console.post("plan", step, key).json()["changes"]
        assert console.post("apply", {"step": step, "changes": changes}, key).status_code == 200
        assert steps.role_store.roles.models["demo"].stable == stable


@pytest.mark.parametrize(
    ("scopes", "models", "status", "kind"),
    [
        ((), ("*",), 401, "unauthenticated"),
        (("predict",), ("*",), 403, "forbidden"),
        (("operate",), ("other",), 403, "forbidden"),
    ],
)
def test_nothing_is_planned_done_or_shown_of_clients_without_an_operators_key(
    console, steps, scopes, models, status, kind
):
    key = console.key(*scopes, models=models) if scopes else "osk_guessed"
    answers = [
        console.post("plan", CANARY, key),
        console.post("apply", ACCEPTED, key),
        console.get("predictions", key, model="demo", version="1.0"),
    ]
    assert [(answer.status_code, answer.json()["error"]["type"]) for answer in answers] == [(status, kind)] * 3
    assert canary(steps) == ""


def test_a_revoked_key_moves_nothing_at_once(console, steps):
    key = console.key()
    console.keys.write_text("{}")
    assert console.post("apply", ACCEPTED, key).status_code == 401
    assert canary(steps) == ""


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1"}, 403),  # another port is another origin
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"content_type": "text/plain"}, 415),  # what a page may send without a preflight
        ({"content_type": "application/x-www-form-urlencoded"}, 415),
        ({"host": "evil.example"}, 404),
    ],
)
def test_a_page_elsewhere_moves_nothing_though_it_had_a_key(console, steps, headers, status):
    assert console.post("apply", ACCEPTED, console.key(), **headers).status_code == status
    assert canary(steps) == ""


def test_no_preflight_is_granted_and_no_other_method_is_taken(console):
    url = f"{console.console}/console/api/apply"
    headers = {
        "origin": "https://evil.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-api-key",
    }
    for method in ("OPTIONS", "PUT", "DELETE"):
        answer = plain_http.request(method, url, headers=headers)
        assert answer.status_code == 405
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("step", "status"),
    [
        ({**CANARY, "percent": 0}, 400),
        ({**CANARY, "percent": 100.5}, 400),
        ({**CANARY, "percent": "5"}, 400),
        ({**CANARY, "action": "retire"}, 400),
        ({**CANARY, "accept_unproven": True}, 400),
        ({"action": "canary"}, 400),
        ([], 400),
        ({**CANARY, "model": "x" * 129}, 400),
        ({**CANARY, "version": "x" * 70_000}, 413),
        ({**CANARY, "version": "3.0"}, 409),
        ({**CANARY, "model": "nobody"}, 404),
        ({**CANARY, "version": "1.0"}, 409),  # it is stable
    ],
)
def test_what_is_no_step_or_an_impossible_one_is_refused_with_a_reason(console, steps, step, status):
    answer = console.post("plan", step, console.key())
    assert answer.status_code == status
    assert answer.json()["error"]["reason"]
    assert canary(steps) == ""


def test_a_plan_that_holds_no_longer_is_refused(console, steps):
    answer = console.post("apply", {"step": CANARY, "changes": []}, console.key())
    assert (answer.status_code, answer.json()["error"]["fix"]) == (409, "look at the plan again")
    assert canary(steps) == ""


def test_a_key_for_the_console_alone_asks_no_model(open_gateway, keys, upstream, tmp_path):
    service = Administered("", tmp_path)
    operates, both = service.key("operate"), service.key("operate", "predict", client="both")
    client = open_gateway()
    refused = client.post(x_api_key=operates)
    assert (refused.status_code, refused.json()["error"]["type"]) == (403, "forbidden")
    assert client.post(x_api_key=both).status_code == 200
    assert len(upstream.requests) == 1


def test_evidence_is_shown_to_everybody_on_the_machine_and_rows_to_operators(console, steps, archive):
    steps.store.mkdir()
    shutil.copy(archive, steps.store / "demo-1.0.mar")
    page = console.get("version", model="demo", version="1.0").raise_for_status().json()
    assert page["evidence"]["summary"]["proof"] == "certified"
    assert page["logged"]
    assert console.get("predictions", console.key(), model="demo", version="1.0").json() == {"rows": []}
    outside = console.get("predictions", console.key(), model="..", version="..")
    assert outside.status_code in (409, 503)


def test_a_step_that_takes_longer_than_an_answer_of_a_model_may_is_answered(open_gateway, tmp_path, monkeypatch):
    steps = release(tmp_path, FakeTorchServe(["1.0", "2.0"]))

    def plan_slowly(*words: Any) -> dict[str, Any]:
        time.sleep(2)  # twice as long
        return plan(*words)

    monkeypatch.setattr("onnxserve.admin.server.plan", plan_slowly)
    with administered(open_gateway(deadline=Deadline(answer_s=1)), steps, tmp_path / "admin") as console:
        answer = console.post("plan", CANARY, console.key())
    assert (answer.status_code, answer.json().get("changes")) == (200, CHANGES)


def test_without_the_service_the_port_says_so(shared):
    port = shared.client.gateway.config.listen.metrics_port
    answer = plain_http.get(f"http://127.0.0.1:{port}/console/api/operator")
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "unavailable")
