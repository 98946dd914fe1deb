"""How archives enter and leave a running server: the bytes checked are the bytes loaded, in the server's own store."""

from __future__ import annotations

import errno
import json
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from onnxserve.archive import Stores, enter_store, file_digest, fill, reconfigure
from onnxserve.errors import ArchiveError, OnnxserveError, ReleaseError
from onnxserve.gateway import RoleStore
from onnxserve.processes import lock_run_folder, make_run_folder
from onnxserve.release import History, ReleaseService
from onnxserve.release.registration import stored_versions
from onnxserve.release.store_lock import store_lock
from onnxserve.torchserve import Management, Settings, own_stores, record_stores, stores_of
from tests.helpers.attacks.archives import HOSTILE
from tests.helpers.fakes import FakeTorchServe


@pytest.fixture
def stores(tmp_path, archive) -> Stores:
    """A server's stores with one archive in them."""
    both = Stores(tmp_path / "kept", tmp_path / "state" / "store")
    both.user.mkdir()
    (both.user / archive.name).write_bytes(archive.read_bytes())
    assert fill(both) == []
    return both


def release(folder: Path, stores: Stores, server: FakeTorchServe) -> ReleaseService:
    management = Management("http://fake", transport=server.transport())
    return ReleaseService(management, History(folder), stores, RoleStore(folder))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_registered_archive_is_in_both_stores_and_torchserve_loaded_the_copy_that_was_checked(
    tmp_path, stores, archive, next_archive
):
    server = FakeTorchServe(["1.0.0"], model="circle")
    assert release(tmp_path, stores, server).register(next_archive) == "2.0.0"
    assert names(stores.user) == names(stores.server) == [archive.name, next_archive.name]
    assert (stores.server / next_archive.name).read_bytes() == next_archive.read_bytes()
    assert "POST /models" in server.calls


@pytest.mark.parametrize("kind", ["second-header", "trailing", "flipped", "truncated", "unrecorded"])
def test_a_hostile_archive_is_refused_before_torchserve_hears_of_it_and_leaves_nothing(
    tmp_path, stores, archive, next_archive, kind
):
    forged = tmp_path / next_archive.name
    forged.write_bytes(HOSTILE[kind][0](next_archive.read_bytes()))
    server = FakeTorchServe(["1.0.0"], model="circle")
    with pytest.raises(ArchiveError) as raised:
        release(tmp_path, stores, server).register(forged)
    assert raised.value.where == str(forged)
    assert server.calls == []
    assert names(stores.user) == names(stores.server) == [archive.name]


def test_other_bytes_for_a_version_that_the_server_has_are_refused_whatever_the_files_name(
    tmp_path, stores, next_archive, archive
):
    server = FakeTorchServe(["1.0.0"], model="circle")
    steps = release(tmp_path, stores, server)
    steps.register(next_archive)
    reconfigure(next_archive, tmp_path / "other-name.mar", {"batchSize": 2})
    with pytest.raises(ReleaseError, match=r"the server has another circle 2.0.0"):
        steps.register(tmp_path / "other-name.mar")
    assert names(stores.user) == [archive.name, next_archive.name]


def test_a_version_that_torchserve_has_from_elsewhere_was_never_checked_and_is_refused(tmp_path, stores, next_archive):
    server = FakeTorchServe(["1.0.0", "2.0.0"], model="circle")
    with pytest.raises(ReleaseError, match="from another source"):
        release(tmp_path, stores, server).register(next_archive)


def test_a_store_that_can_not_be_written_is_found_out_before_anything_is_loaded(
    tmp_path, stores, archive, next_archive, monkeypatch
):
    def read_only(source: Path, store: Path, name: str = "") -> Path:
        if store == stores.user:
            raise OSError(errno.EROFS, "Read-only file system")
        return enter_store(source, store, name)

    monkeypatch.setattr("onnxserve.release.registration.enter_store", read_only)
    server = FakeTorchServe(["1.0.0"], model="circle")
    with pytest.raises(ReleaseError, match=r"can't be written: Read-only file system") as raised:
        release(tmp_path, stores, server).register(next_archive)
    assert raised.value.where == str(stores.user)
    assert "POST /models" not in server.calls
    assert names(stores.server) == [archive.name]


def test_a_store_that_can_not_be_written_is_found_out_before_anything_is_unregistered(
    tmp_path, stores, archive, next_archive, monkeypatch
):
    server = FakeTorchServe(["1.0.0"], model="circle")
    steps = release(tmp_path, stores, server)
    steps.register(next_archive)
    with monkeypatch.context() as patched:
        patched.setattr("onnxserve.release.registration.os.access", lambda path, _: path != stores.user)
        with pytest.raises(ReleaseError, match="can't be written"):
            steps.retire("circle", "2.0.0", grace_s=0)
    assert not [call for call in server.calls if call.startswith("DELETE")]
    steps.retire("circle", "2.0.0", grace_s=0)
    assert names(stores.user) == [archive.name, f"{next_archive.name}.retired"]
    assert names(stores.server) == [archive.name]


def test_the_server_of_a_state_folder_says_where_its_archives_are_kept_while_it_runs(tmp_path):
    settings = Settings(tmp_path / "config.properties", tmp_path / "kept", tmp_path / "state")
    other = Settings(tmp_path / "config.properties", tmp_path / "elsewhere", tmp_path / "state")
    make_run_folder(settings.run)
    with lock_run_folder(settings.run):
        record_stores(settings, own_stores(settings))
        assert stores_of(other) == Stores(tmp_path / "kept", tmp_path / "state" / "store")
    assert stores_of(other) == Stores(tmp_path / "elsewhere", tmp_path / "elsewhere")


def test_archives_of_others_have_roles_too_and_what_can_not_be_read_has_none(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.mar", "w") as archive:
        manifest = {"model": {"modelName": "other", "modelVersion": "3", "handler": "h.py"}}
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        archive.writestr("h.py", "")
    (tmp_path / "damaged.mar").write_bytes(b"PK")
    assert stored_versions(tmp_path) == {"other": {"3": file_digest(tmp_path / "other.mar")}}


@pytest.mark.parametrize("name", ["circle-2.0.0.zip", "a,b.mar", ".circle.mar", "circle-2.0.0.mar.retired"])
def test_a_file_that_the_next_start_would_not_serve_by_its_name_is_refused(
    tmp_path, stores, archive, next_archive, name
):
    file = tmp_path / name
    file.write_bytes(next_archive.read_bytes())
    server = FakeTorchServe(["1.0.0"], model="circle")
    with pytest.raises(ArchiveError) as raised:
        release(tmp_path, stores, server).register(file)
    assert (raised.value.where, raised.value.fix) == (str(file), "name the file MODEL-VERSION.mar")
    assert names(stores.user) == names(stores.server) == [archive.name]
    assert "POST /models" not in server.calls


def test_an_archive_that_is_not_there_is_said_plainly(tmp_path, stores):
    with pytest.raises(OnnxserveError, match="there is no such archive"):
        release(tmp_path, stores, FakeTorchServe(["1.0.0"])).register(tmp_path / "none.mar")
    assert names(stores.server) == names(stores.user)


def test_a_models_folder_is_told_how_it_becomes_an_archive(tmp_path, stores):
    (tmp_path / "circle").mkdir()
    with pytest.raises(ArchiveError, match="it is a folder") as raised:
        release(tmp_path, stores, FakeTorchServe(["1.0.0"])).register(tmp_path / "circle")
    assert raised.value.fix == "name the .mar file"
    (tmp_path / "circle" / "model.toml").touch()
    with pytest.raises(ArchiveError, match="it is a folder") as raised:
        release(tmp_path, stores, FakeTorchServe(["1.0.0"])).register(tmp_path / "circle")
    assert raised.value.fix == f"onnxserve export {tmp_path / 'circle'} makes its archive"


@pytest.mark.parametrize("content", [b"a,b", b""])
def test_a_file_that_no_export_made_is_told_what_to_do(tmp_path, stores, content):
    if not content:
        with zipfile.ZipFile(tmp_path / "other-1.0.mar", "w") as foreign:
            manifest = {"model": {"modelName": "other", "modelVersion": "1.0"}}
            foreign.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
    else:
        (tmp_path / "other-1.0.mar").write_bytes(content)
    with pytest.raises(ArchiveError) as raised:
        release(tmp_path, stores, FakeTorchServe(["1.0.0"])).register(tmp_path / "other-1.0.mar")
    assert "onnxserve migrate" in raised.value.fix


class Slow(FakeTorchServe):
    """A worker that is ready only when `loaded` is set; another registration of the version meanwhile is a conflict."""

    def __init__(self) -> None:
        super().__init__(["1.0.0"], model="circle", unready={"2.0.0"})
        self.loading = threading.Event()

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.loading.set()
        return super()._answer(request)


def test_two_registrations_of_one_archive_at_once_both_end_well_and_it_is_loaded_once(tmp_path, stores, next_archive):
    server = Slow()
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(release(tmp_path, stores, server).register, next_archive) for _ in range(2)]
        assert server.loading.wait(30)
        server.unready.clear()
        assert [future.result(60) for future in both] == ["2.0.0", "2.0.0"]
    assert server.calls.count("POST /models") == 1
    assert "DELETE /models/circle/2.0.0" not in server.calls
    assert server.versions == ["1.0.0", "2.0.0"]
    assert names(stores.user) == names(stores.server) == ["circle-1.0.0.mar", next_archive.name]


def test_a_registration_that_waits_too_long_for_another_one_is_refused_and_leaves_nothing(
    tmp_path, stores, archive, next_archive, monkeypatch
):
    monkeypatch.setattr("onnxserve.release.service.LOCK_S", 0.2)
    server = FakeTorchServe(["1.0.0"], model="circle")
    with store_lock(tmp_path, 1), pytest.raises(ReleaseError, match="another archive has been registered") as raised:
        release(tmp_path, stores, server).register(next_archive)
    assert raised.value.fix
    assert server.calls == []
    assert names(stores.server) == [archive.name]
    assert release(tmp_path, stores, server).register(next_archive) == "2.0.0"


def test_what_somebody_else_has_registered_meanwhile_is_not_unregistered(tmp_path, stores, next_archive):
    server = FakeTorchServe(["1.0.0"], model="circle")
    steps = release(tmp_path, stores, server)
    answer = server._answer

    def overtaken(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            server.versions.append("2.0.0")  # whose URL is its own
        return answer(request)

    steps.management = Management("http://fake", transport=httpx.MockTransport(overtaken))
    with pytest.raises(OnnxserveError, match="409"):
        steps.register(next_archive)
    assert server.versions == ["1.0.0", "2.0.0"]
