"""Who may move roles from the console."""

from __future__ import annotations

import datetime as dt

import pytest

from onnxserve.admin.operators import Refusal, operator_of
from onnxserve.gateway.keys import Key, add, read_keys

NOW = dt.datetime(2027, 1, 31, tzinfo=dt.UTC)


def test_a_key_with_the_scope_names_its_owner_and_itself(tmp_path):
    secret = add(tmp_path / "keys.json", Key("ops", ("demo",), scopes=("operate",)))
    operator = operator_of(read_keys(tmp_path / "keys.json"), secret)
    [stored] = read_keys(tmp_path / "keys.json")
    assert operator.name == f"ops (key {stored[:12]})"
    assert secret not in operator.name
    operator.check_model("demo")
    with pytest.raises(Refusal, match="doesn't hold for the model other") as refused:
        operator.check_model("other")
    assert refused.value.status == 403


@pytest.mark.parametrize(
    ("key", "status", "reason"),
    [
        (Key("shop"), 403, "lacks the scope operate"),
        (Key("ops", expires=NOW, scopes=("operate",)), 401, "has expired"),
        (None, 401, "send a key with the scope operate"),
    ],
)
def test_any_other_key_is_refused_and_says_why(tmp_path, key, status, reason):
    secret = add(tmp_path / "keys.json", key) if key else "osk_unknown"
    with pytest.raises(Refusal, match=reason) as refused:
        operator_of(read_keys(tmp_path / "keys.json"), secret, NOW)
    assert refused.value.status == status
    assert refused.value.fix


def test_no_key_is_no_operator_even_if_the_digest_of_nothing_is_stored(tmp_path):
    empty = {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": Key("nobody", scopes=("operate",))}
    with pytest.raises(Refusal, match="send a key"):
        operator_of(empty, "")
