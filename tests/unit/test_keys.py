"""Keys of clients: shown once, kept as digests, rotated and revoked."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from onnxserve.cli import app as boundary
from onnxserve.errors import EdgeError
from onnxserve.gateway.keys import Key, add, digest, read_keys, revoke


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    (tmp_path / "traffic.toml").write_text("[auth]\nrequired = true\n")
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["onnxserve", "keys", *arguments])
        with pytest.raises(SystemExit) as ended:
            boundary.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call


def test_a_key_is_shown_once_and_kept_as_a_digest(run, tmp_path):
    code, secret, _ = run(
        "add", "shop", "--model", "sentiment", "--per-day", "10", "--digits", "2", "--priority", "batch"
    )
    assert code == 0
    text = (tmp_path / "keys.json").read_text()
    assert secret.strip() not in text
    assert read_keys(tmp_path / "keys.json") == {
        digest(secret.strip()): Key("shop", ("sentiment",), None, 10, 2, None, "batch")
    }
    _, shown, _ = run("list", "--json")
    assert secret.strip() not in shown
    assert next(iter(json.loads(shown).values()))["client"] == "shop"


def test_rotation_keeps_the_rights_and_ends_the_old_key(run, tmp_path):
    _, old, _ = run("add", "shop", "--model", "sentiment")
    _, new, _ = run("rotate", "shop")
    assert read_keys(tmp_path / "keys.json") == {digest(new.strip()): Key("shop", ("sentiment",))}
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
    assert "no key of nobody" in err


def test_two_keys_differ_and_a_damaged_file_is_not_overwritten(tmp_path):
    path = tmp_path / "keys.json"
    assert add(path, Key("a")) != add(path, Key("a"))
    path.write_text("{")
    with pytest.raises(EdgeError, match="damaged"):
        add(path, Key("a"))
    with pytest.raises(EdgeError, match="damaged"):
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
