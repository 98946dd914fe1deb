"""What may enter a server, and take another version's place."""

import json
import shutil

import pytest

from onnxserve.archive import contents, write_archive
from onnxserve.errors import OnnxserveError, ReleaseError
from onnxserve.gateway import Canary
from onnxserve.migrate import read_stock, wrap
from onnxserve.release.compatibility import differences
from tests.helpers.fakes import FakeTorchServe
from tests.helpers.releases import release
from tests.helpers.stock import doubler_members, with_manifest, write_zip


def test_a_version_that_never_becomes_ready_is_not_registered(tmp_path, next_archive, monkeypatch):
    server = FakeTorchServe(["1.0.0"], unready={"2.0.0"}, model="circle")
    steps = release(tmp_path, server)
    monkeypatch.setattr("onnxserve.release.service.READY_S", 0.3)
    with pytest.raises(OnnxserveError, match="ready"):
        steps.register(next_archive)
    assert server.versions == ["1.0.0"]
    assert list(steps.store.iterdir()) == []
    assert steps.history.events("circle") == []


def test_a_version_enters_the_store_once_a_worker_is_proven(tmp_path, next_archive):
    steps = release(tmp_path, FakeTorchServe(["1.0.0"], model="circle"))
    assert steps.register(next_archive) == "2.0.0"
    assert [path.name for path in steps.store.iterdir()] == [next_archive.name]
    assert steps.role_store.roles.models["circle"].stable == "1.0.0"


def test_a_version_that_can_not_be_loaded_is_refused_with_the_reason_as_soon_as_the_log_has_it(tmp_path, next_archive):
    server = FakeTorchServe(["1.0.0"], unready={"2.0.0"}, model="circle")
    steps, log = release(tmp_path, server), tmp_path / "torchserve.log"
    event = {
        "level": "ERROR",
        "model": "circle",
        "version": "2.0.0",
        "message": "Failed to load model: golden row 3 differs",
    }
    log.write_text(json.dumps({**event, "message": "Failed to load model: long ago"}) + "\n")
    register = steps.management.register

    def failing(file: str) -> None:
        register(file)
        with log.open("a") as stream:
            stream.write(json.dumps({**event, "version": "1.0.0"}) + "\n" + json.dumps(event) + "\n")

    steps.management.register = failing  # type: ignore[method-assign]
    with pytest.raises(OnnxserveError, match="golden row 3 differs") as raised:
        steps.register(next_archive)
    assert "long ago" not in str(raised.value)
    assert server.versions == ["1.0.0"]
    assert list(steps.store.iterdir()) == []


def test_a_version_with_another_signature_answers_for_the_stable_one_only_if_asked(tmp_path, archive, next_archive):
    steps = release(tmp_path, FakeTorchServe(["1.0.0", "2.0.0"], model="circle"))
    steps.store.mkdir()
    shutil.copy(archive, steps.store)
    members, manifest, _ = contents(next_archive)
    signature = json.loads(members["signature.json"])
    signature["input"]["columns"] = ["a", "b"]
    write_archive(
        steps.store / next_archive.name, {**members, "signature.json": json.dumps(signature).encode()}, manifest
    )
    for step in (
        lambda: steps.canary("circle", Canary("2.0.0", 5)),
        lambda: steps.promote("circle", "2.0.0"),
        lambda: steps.smaller("circle", "2.0.0"),
    ):
        with pytest.raises(ReleaseError, match=r"columns: \['x', 'y'\] -> \['a', 'b'\]") as raised:
            step()
        assert "--other-signature" in raised.value.fix
    assert steps.role_store.roles.models["circle"].stable == "1.0.0"
    steps.smaller("circle", "2.0.0", other_signature=True)
    assert steps.role_store.roles.models["circle"].smaller == "2.0.0"
    steps.canary("circle", Canary("2.0.0", 5), other_signature=True)
    steps.promote("circle", other_signature=True)
    assert steps.role_store.roles.models["circle"].stable == "2.0.0"


def test_versions_with_the_same_signature_take_each_others_place(tmp_path, archive, next_archive):
    steps = release(tmp_path, FakeTorchServe(["1.0.0", "2.0.0"], model="circle"))
    steps.store.mkdir()
    for path in (archive, next_archive):
        shutil.copy(path, steps.store)
    steps.canary("circle", Canary("2.0.0", 5))
    steps.promote("circle")
    assert steps.role_store.roles.models["circle"].stable == "2.0.0"


def test_an_archive_of_the_store_is_never_replaced_by_another(tmp_path, archive, next_archive):
    steps = release(tmp_path, FakeTorchServe(["1.0"]))
    steps.store.mkdir()
    kept = steps.store / next_archive.name
    kept.write_bytes(archive.read_bytes())
    with pytest.raises(ReleaseError, match="the store has another"):
        steps.register(next_archive)
    assert kept.read_bytes() == archive.read_bytes()


def test_a_version_whose_signature_is_unknown_takes_the_place_of_a_known_one_only_if_asked(tmp_path, archive):
    members = with_manifest(doubler_members(), modelName="circle", modelVersion="2.0.0")
    migrated = wrap(read_stock(write_zip(tmp_path / "old.mar", members)), tmp_path / "store")[0]
    assert differences(archive, migrated) == ["signature: known -> unknown"]
    assert differences(migrated, archive) == ["signature: unknown -> known"]
    assert differences(migrated, migrated) == []
