"""Keys of clients: shown once, kept as digests, dated, rotated and revoked."""

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from onnxserve.cli import app as boundary
from onnxserve.errors import GatewayError
from onnxserve.gateway.files import write_json
from onnxserve.gateway.keys import (
    ID,
    LATEST,
    Key,
    Keys,
    add,
    digest,
    expiry,
    now,
    period,
    read_keys,
    revoke,
    rotate,
)
from onnxserve.monitoring.key_use import KEY_USE

NEVER_S = 60  # no test takes so long


def undated(path: Path) -> Keys:
    """Keys without their dates, which are those of the test."""
    keys = read_keys(path)
    assert all(key.created and abs((now() - key.created).total_seconds()) < NEVER_S for key in keys.values())
    return {kept: msgspec.structs.replace(key, created=None, expires=None) for kept, key in keys.items()}


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    (tmp_path / "gateway.toml").write_text("[auth]\nrequired = true\n")
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["onnxserve", "keys", *arguments])
        with pytest.raises(SystemExit) as ended:
            boundary.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


def test_a_key_is_shown_once_and_kept_as_a_digest(run, tmp_path):
    code, secret, _ = run(
        "add", "shop", "--model", "sentiment", "--per-day", "10", "--digits", "2", "--priority", "batch"
    )
    assert code == 0
    text = (tmp_path / "keys.json").read_text()
    assert secret.strip() not in text
    assert undated(tmp_path / "keys.json") == {
        digest(secret.strip()): Key("shop", ("sentiment",), None, 10, 2, None, "batch")
    }
    _, shown, _ = run("list", "--json")
    assert secret.strip() not in shown
    assert next(iter(json.loads(shown).values()))["client"] == "shop"


def test_rotation_keeps_the_rights_and_ends_the_old_key(run, tmp_path):
    _, old, _ = run("add", "shop", "--model", "sentiment")
    _, new, _ = run("rotate", "shop")
    assert undated(tmp_path / "keys.json") == {digest(new.strip()): Key("shop", ("sentiment",))}
    assert new != old
    run("rotate", "shop", "--keep-old")
    assert len(read_keys(tmp_path / "keys.json")) == 2


def test_revoking_ends_all_keys_of_a_client_and_no_others(run, tmp_path):
    run("add", "shop")
    run("add", "shop")
    run("add", "bank")
    code, out, _ = run("revoke", "shop")
    assert (code, out.strip()) == (0, "2 keys of shop are no longer valid")
    assert [key.client for key in read_keys(tmp_path / "keys.json").values()] == ["bank"]


@pytest.mark.parametrize("verb", ["revoke", "rotate"])
def test_a_client_without_keys_is_said(run, verb):
    code, _, err = run(verb, "nobody")
    assert code == 1
    assert "nobody has no key" in err


def test_two_keys_differ_and_a_damaged_file_is_not_overwritten(tmp_path):
    path = tmp_path / "keys.json"
    assert add(path, Key("a")) != add(path, Key("a"))
    path.write_text("{")
    with pytest.raises(GatewayError, match="damaged"):
        add(path, Key("a"))
    with pytest.raises(GatewayError, match="damaged"):
        revoke(path, "a")
    assert path.read_text() == "{"


@pytest.mark.parametrize("name", ["", "a\nb", "é", "x" * 129])
def test_a_name_that_no_header_can_carry_is_refused(run, name):
    code, _, err = run("add", name)
    assert code == 1
    assert "client's name" in err


def test_keys_that_are_made_at_the_same_time_are_all_kept(tmp_path):
    path = tmp_path / "keys.json"
    with ThreadPoolExecutor(8) as pool:
        secrets = list(pool.map(lambda number: add(path, Key(f"client {number}")), range(24)))
    assert {digest(secret) for secret in secrets} == set(read_keys(path))


# Dates -----------------------------------------------------------------------------


def test_a_key_has_its_dates_and_its_last_use_in_the_list(run, tmp_path):
    _, secret, _ = run("add", "shop", "--expires", "90d")
    [key] = read_keys(tmp_path / "keys.json").values()
    assert key.created
    assert key.expires == key.created + dt.timedelta(days=90)
    write_json(tmp_path / ".onnxserve" / KEY_USE, {digest(secret.strip())[:ID]: 1_800_000_000.5})
    _, shown, _ = run("list", "--json")
    [listed] = json.loads(shown).values()
    assert listed["last_used"] == "2027-01-15T08:00:00.500000Z"
    assert dt.datetime.fromisoformat(listed["expires"]) == key.expires
    _, shown, _ = run("list")
    for text in ("last used", "2027-01-15 08:00", f"{key.expires:%Y-%m-%d}"):
        assert text in shown


def test_an_older_file_has_no_dates_and_is_read_and_rotated(run, tmp_path):
    path = tmp_path / "keys.json"
    write_json(path, {"a" * 64: {"client": "shop", "models": ["x"], "priority": "batch"}})
    assert read_keys(path) == {"a" * 64: Key("shop", ("x",), priority="batch")}
    code, _, _ = run("list")
    assert code == 0
    run("rotate", "shop", "--overlap", "7d")
    old, fresh = read_keys(path).values()
    assert old.expires
    assert old.created is None
    assert (fresh.models, fresh.priority, fresh.expires) == (("x",), "batch", None)


def test_rotation_with_an_overlap_lets_the_old_key_end_by_itself(tmp_path):
    path, lifetime = tmp_path / "keys.json", dt.timedelta(days=30)
    old = add(path, Key("shop", created=now(), expires=now() + lifetime))
    fresh = rotate(path, "shop", dt.timedelta(days=7))
    keys = read_keys(path)
    assert set(keys) == {digest(old), digest(fresh)}
    ends, created = keys[digest(old)].expires, keys[digest(fresh)].created
    assert ends
    assert created
    assert ends - created == dt.timedelta(days=7)
    assert keys[digest(fresh)].expires == created + lifetime, "it lives as long as the old one was made for"
    last = rotate(path, "shop", dt.timedelta())
    assert set(read_keys(path)) == {digest(last)}


def test_an_overlap_never_lengthens_a_key(tmp_path):
    path, soon = tmp_path / "keys.json", now() + dt.timedelta(hours=1)
    old = add(path, Key("shop", created=now() - dt.timedelta(days=1), expires=soon))
    rotate(path, "shop", dt.timedelta(days=7))
    assert read_keys(path)[digest(old)].expires == soon


def test_a_rotation_never_leaves_the_calendar(tmp_path):
    path, created = tmp_path / "keys.json", now() - dt.timedelta(days=1)
    old = add(path, Key("shop", created=created, expires=LATEST))
    new = rotate(path, "shop", period("999999w"))
    assert {read_keys(path)[digest(secret)].expires for secret in (old, new)} == {LATEST}


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("30m", "2026-01-02T03:34:05Z"),
        ("8w", "2026-02-27T03:04:05Z"),
        ("2027-01-31", "2027-01-31T00:00:00Z"),
        ("2027-01-31T12:00:00+02:00", "2027-01-31T10:00:00Z"),
    ],
)
def test_an_end_is_a_period_a_date_or_a_time(text, ends):
    assert expiry(text, dt.datetime.fromisoformat("2026-01-02T03:04:05Z")) == dt.datetime.fromisoformat(ends)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "0d", "-1d", "1y", "2020-01-01", "99999999d", "999999w", "2027-13-01", "9999-12-31T23:59:59-05:00"],
)
def test_what_is_no_end_is_refused_with_what_to_write(run, text):
    code, _, err = run("add", "shop", f"--expires={text}") if text else run("add", "shop", "--expires= ")
    assert code == 1
    assert "90d" in err


def test_a_period_that_is_none_is_refused(run):
    run("add", "shop")
    code, _, err = run("rotate", "shop", "--overlap", "2027-01-01")
    assert code == 1
    assert "is not a period" in err
    with pytest.raises(GatewayError):
        period("1")
    code, _, err = run("rotate", "shop", "--overlap", "1d", "--keep-old")
    assert code == 1
    assert "--keep-old" in err


def test_an_expired_key_is_shown_as_such(run, tmp_path):
    write_json(tmp_path / "keys.json", {"b" * 64: Key("shop", expires=now() - dt.timedelta(days=1))})
    _, shown, _ = run("list")
    assert "expired" in shown.splitlines()[1]
