"""Roles of a running server: what is lost of them is written again, and nobody waits for another's step."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from onnxserve.disk import replace_file
from onnxserve.errors import GatewayError
from onnxserve.gateway import Model, Roles, RoleStore
from tests.helpers.disk import filled, small_disk

FIRST, SECOND = (Roles({"demo": Model({"1.0": "a", "2.0": "b"}, version)}) for version in ("1.0", "2.0"))


def lose(path: Path) -> None:
    path.unlink()


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


@pytest.mark.parametrize("harm", [lose, damage])
def test_a_running_server_goes_on_with_the_roles_that_it_knows_and_writes_them_again(tmp_path, harm):
    store = RoleStore(tmp_path)
    roles = store.move(lambda _: FIRST)
    harm(tmp_path / "roles.json")
    assert store.roles == roles
    assert "lost or damaged" in store.reconcile()[0]
    assert RoleStore(tmp_path).roles == roles
    assert store.reconcile() == []


def test_whoever_never_read_the_roles_is_told_that_they_are_damaged(tmp_path):
    RoleStore(tmp_path).move(lambda _: FIRST)
    damage(tmp_path / "roles.json")
    with pytest.raises(GatewayError, match="damaged"):
        RoleStore(tmp_path).reconcile()


def test_roles_in_the_file_of_an_older_version_are_read_and_move_to_the_present_one(tmp_path):
    RoleStore(tmp_path).move(lambda _: FIRST)
    former = (tmp_path / "roles.json").rename(tmp_path / "labels.json")
    assert RoleStore(tmp_path).roles.models == FIRST.models
    RoleStore(tmp_path).move(lambda _: SECOND)
    assert not former.exists()
    assert RoleStore(tmp_path).roles.models == SECOND.models


def test_a_damaged_file_of_an_older_version_is_set_aside(tmp_path):
    (tmp_path / "labels.json").write_text("{")
    with pytest.raises(GatewayError, match="damaged"):
        _ = RoleStore(tmp_path).roles
    assert RoleStore(tmp_path).set_aside().name == "labels.json.damaged"
    assert RoleStore(tmp_path).roles == Roles()


def test_a_step_that_waits_for_the_server_holds_up_no_other_and_looks_again_after_it(tmp_path):
    store, waiting, other = RoleStore(tmp_path), threading.Event(), threading.Event()
    prepared: list[int] = []

    def prepare(new: Roles) -> None:
        prepared.append(new.generation)
        waiting.set()
        assert other.wait(20)

    slow = threading.Thread(target=store.move, args=(lambda _: SECOND,), kwargs={"before": prepare})
    slow.start()
    assert waiting.wait(20)
    RoleStore(tmp_path).move(lambda _: FIRST)
    other.set()
    slow.join(20)
    assert prepared == [1, 2]
    assert RoleStore(tmp_path).roles == Roles(SECOND.models, 2)


def test_a_full_disk_holds_up_no_step_that_needs_no_room(tmp_path):
    with small_disk(tmp_path / "disk", "1m") as disk:
        store = RoleStore(disk / "state")
        store.move(lambda _: FIRST)
        with filled(disk):
            store.move(lambda _: SECOND)
            assert RoleStore(disk / "state").roles == Roles(SECOND.models, 2)
            with pytest.raises(OSError, match="No space") as raised:
                replace_file(disk / "state" / "roles.json", b" " * 9000)
            assert raised.value.errno == errno.ENOSPC
        assert RoleStore(disk / "state").roles == Roles(SECOND.models, 2)


def test_roles_that_were_kept_are_put_back_once_whatever_changed_them(tmp_path):
    store = RoleStore(tmp_path)
    store.put_back()
    assert RoleStore(tmp_path).roles == Roles()
    before = store.move(lambda _: FIRST)
    store.keep()
    store.move(lambda _: SECOND)
    store.put_back()
    assert store.roles == RoleStore(tmp_path).roles == before
    after = store.move(lambda _: SECOND)
    store.put_back()
    assert RoleStore(tmp_path).roles == after
