"""Labels of a running server: what is lost of them is written again, and nobody waits for another's step."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from onnxserve.errors import GatewayError
from onnxserve.gateway import Labels, Model, Traffic
from onnxserve.gateway.files import replace_file
from tests.helpers.disk import filled, small_disk

FIRST, SECOND = (Labels({"demo": Model({"1.0": "a", "2.0": "b"}, version)}) for version in ("1.0", "2.0"))


def lose(path: Path) -> None:
    path.unlink()


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


@pytest.mark.parametrize("harm", [lose, damage])
def test_a_running_server_goes_on_with_the_labels_that_it_knows_and_writes_them_again(tmp_path, harm):
    traffic = Traffic(tmp_path)
    labels = traffic.move(lambda _: FIRST)
    harm(tmp_path / "labels.json")
    assert traffic.labels == labels
    assert "lost or damaged" in traffic.reconcile()[0]
    assert Traffic(tmp_path).labels == labels
    assert traffic.reconcile() == []


def test_whoever_never_read_the_labels_is_told_that_they_are_damaged(tmp_path):
    Traffic(tmp_path).move(lambda _: FIRST)
    damage(tmp_path / "labels.json")
    with pytest.raises(GatewayError, match="damaged"):
        Traffic(tmp_path).reconcile()


def test_a_step_that_waits_for_the_server_holds_up_no_other_and_looks_again_after_it(tmp_path):
    traffic, waiting, other = Traffic(tmp_path), threading.Event(), threading.Event()
    prepared: list[int] = []

    def prepare(new: Labels) -> None:
        prepared.append(new.generation)
        waiting.set()
        assert other.wait(20)

    slow = threading.Thread(target=traffic.move, args=(lambda _: SECOND,), kwargs={"before": prepare})
    slow.start()
    assert waiting.wait(20)
    Traffic(tmp_path).move(lambda _: FIRST)
    other.set()
    slow.join(20)
    assert prepared == [1, 2]
    assert Traffic(tmp_path).labels == Labels(SECOND.models, 2)


def test_a_full_disk_holds_up_no_step_that_needs_no_room(tmp_path):
    with small_disk(tmp_path / "disk", "1m") as disk:
        traffic = Traffic(disk / "state")
        traffic.move(lambda _: FIRST)
        with filled(disk):
            traffic.move(lambda _: SECOND)
            assert Traffic(disk / "state").labels == Labels(SECOND.models, 2)
            with pytest.raises(OSError, match="No space") as raised:
                replace_file(disk / "state" / "labels.json", b" " * 9000)
            assert raised.value.errno == errno.ENOSPC
        assert Traffic(disk / "state").labels == Labels(SECOND.models, 2)
