"""Whatever a hostile client sends as a row fails alone, with a status, a place and a fix; neighbours' answers stay."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest

from onnxserve_handlers import errors
from onnxserve_handlers.errors import MOST_CHARACTERS, RequestError
from onnxserve_handlers.handler import Handler
from onnxserve_handlers.protocols.body import PROTOCOL
from tests import ROOT
from tests.helpers.attacks import ATTACKS
from tests.helpers.attacks.rows import Attack
from tests.helpers.inference import JSON, send
from tests.helpers.task_models import MODELS

MOST_BYTES = 4_000_000  # of a body
ERRORS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, RequestError)}


@pytest.fixture(scope="module")
def handlers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Handler]:
    folder = tmp_path_factory.mktemp("handlers")
    return {task: model.handler(folder / task, max_bytes=MOST_BYTES) for task, model in MODELS.items()}


def request_of(attack: Attack) -> tuple[bytes, dict[str, str]]:
    coding = {"content-encoding": attack.coding} if attack.coding else {}
    protocol = {PROTOCOL: attack.protocol} if attack.protocol else {}
    return attack.body, {"content-type": attack.kind, **coding, **protocol}


def good(task: str, number: int) -> tuple[bytes, dict[str, str]]:
    return json.dumps({"instances": [MODELS[task].rows[number]]}).encode(), {"content-type": JSON}


def fields(answer: Any) -> tuple[str, str]:
    """Return place and the rest of an error in any form; V2 and rerankers have it as one line."""
    error = answer.get("error", answer.get("message"))
    if isinstance(error, str):
        _, where, rest = error.split(": ", 2)
        return where, rest
    if "param" in error:
        return error["param"], error["message"]
    assert error["fix"]
    return error["where"], error["reason"]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{attack.task}-{attack.name}")
def test_a_hostile_row_fails_alone(handlers, attack, capfd):
    handler, task = handlers[attack.task], attack.task
    alone = [send(handler, good(task, number))[0] for number in (0, 1)]
    assert [status for status, _, _ in alone] == [200, 200]
    before, (status, _, body), after = send(handler, good(task, 0), request_of(attack), good(task, 1))
    assert [before, after] == alone
    assert status == attack.status, body
    assert capfd.readouterr().err == ""
    if status != 200:
        where, reason = fields(json.loads(body))
        assert where == attack.where or (attack.where[-1] == "*" and where.startswith(attack.where[:-1]))
        assert attack.reason in reason
        assert len(reason) <= MOST_CHARACTERS + 99


def test_every_error_of_a_handler_says_how_to_fix_it():
    silent = []
    for path in sorted((ROOT / "handlers").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or ast.unparse(node.func) not in ERRORS - {"InternalError"}:
                continue
            if "fix" not in {word.arg for word in node.keywords}:
                silent.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert silent == []
    assert len(ERRORS) > 10


def test_an_error_doesnt_grow_with_a_clients_names():
    error = RequestError("x" * 10**6, where="y" * 10**6)
    assert (len(error.reason), len(error.where)) == (MOST_CHARACTERS + 3, MOST_CHARACTERS + 3)


def test_attacks_have_names_of_their_own():
    assert len({(attack.task, attack.name) for attack in ATTACKS}) == len(ATTACKS) > 300
