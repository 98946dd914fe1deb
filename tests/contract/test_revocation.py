"""A table of keys and revocations: every place that loads archives decides each of its rows in the same way."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from fastworker import verification
from onnxserve.archive import (
    Stores,
    check,
    check_archive,
    configured_keys,
    file_digest,
    fill,
    make_key,
    sign_archive,
    unpack,
)
from onnxserve.archive.pull import pull
from onnxserve.archive.revoke import archive_digest, key_digest, revoke
from onnxserve.batch import JobRequest, Machine, job_of
from onnxserve.batch import worker as batch_worker
from onnxserve.cli import app
from onnxserve.doctor.trust import trust
from onnxserve.errors import ArchiveError, OnnxserveError
from onnxserve.processes import lock_run_folder, make_run_folder
from onnxserve.release.registration import staged_archive
from onnxserve.torchserve import Settings, own_stores, record_stores
from onnxserve_handlers.trust.digests import MANIFEST
from onnxserve_handlers.trust.signing import KEY, REVOKED, ArchiveUntrusted, check_signing

SIGNERS = ("old", "new", "nobody")


class World(NamedTuple):
    """One archive, signed by each of two keys and by nobody; a folder with both keys, and one without any."""

    archives: dict[str, Path]
    keys: dict[str, Path]
    both: Path
    empty: Path


class Case(NamedTuple):
    """What a machine is configure, in terms of a world, and whose archives it then loads."""

    keys: str
    revoked: str | None  # None: no list is named
    trusted: tuple[str, ...]


CASES = {
    "nothing is asked for": Case("", None, SIGNERS),
    "an empty list": Case("", "", SIGNERS),
    "one key": Case("{old}", None, ("old",)),
    "both keys": Case("{old}:{new}", None, ("old", "new")),
    "a folder of both": Case("{both}", None, ("old", "new")),
    "a folder of none": Case("{empty}", None, ()),
    "two variables that are empty, for keys": Case(":", None, ()),
    "two variables that are empty, for lists": Case("", ":", ()),
    "the old key is revoked": Case("{old}:{new}", "key {old_digest} a laptop was lost", ("new",)),
    "the only key is revoked": Case("{old}", "# since May\n\nkey {old_digest}\n", ()),
    "a key is revoked where none is wanted": Case("", "key {old_digest}", SIGNERS),
    "the archive is revoked": Case("", "archive {archive_digest} it had to go", ()),
    "the archive is revoked whoever signs it": Case("{both}", "archive {archive_digest}", ()),
    "another archive and another key are revoked": Case("{both}", "archive {zeros}\nkey {zeros}", ("old", "new")),
    "a list that can't be read": Case("{both}", "everything", ()),
    "a list that is cut": Case("{both}", "key {zeros_cut}", ()),
    "a list that is missing": Case("", "missing", ()),
}


@pytest.fixture(scope="module")
def world(archive, tmp_path_factory) -> World:
    folder: Path = tmp_path_factory.mktemp("world")
    archives = {"nobody": folder / "nobody" / archive.name}
    keys = {}
    for name in ("old", "new"):
        keys[name] = make_key(folder / f"{name}.pem")
        archives[name] = folder / name / archive.name
        archives[name].parent.mkdir()
        sign_archive(archive, folder / f"{name}.pem", archives[name])
    (folder / "nobody").mkdir()
    shutil.copy(archive, archives["nobody"])
    for name in ("both", "empty"):
        (folder / name).mkdir()
    for path in keys.values():
        shutil.copy(path, folder / "both")
    (folder / "empty" / "README.txt").write_text("keys go here")
    return World(archives, keys, folder / "both", folder / "empty")


@pytest.fixture
def configure(world, tmp_path, monkeypatch) -> Callable[[Case], None]:
    """Return a function that makes this machine one of the table's."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr(check, "answers", lambda *_: [])  # golden rows are another matter
    monkeypatch.setattr(batch_worker, "ProcessScorer", lambda *_: SimpleNamespace(close=lambda: None))

    def tell(case: Case) -> None:
        named = {name: str(path) for name, path in world.keys.items()} | {"both": world.both, "empty": world.empty}
        monkeypatch.setenv(KEY, case.keys.format(**named))
        monkeypatch.delenv(REVOKED, raising=False)
        if case.revoked == ":":
            monkeypatch.setenv(REVOKED, ":")
        elif case.revoked is not None:
            path = tmp_path / "revoked.txt"
            monkeypatch.setenv(REVOKED, str(path))
            digests = {"old_digest": key_digest(world.keys["old"]), "zeros": "0" * 64, "zeros_cut": "0" * 63}
            digests["archive_digest"] = archive_digest(world.archives["nobody"])
            if case.revoked != "missing":
                path.write_text(case.revoked.format(**digests))

    return tell


def worker(archive: Path, folder: Path) -> None:
    unpack(archive, folder / "unpacked")
    handler = json.loads((folder / "unpacked" / MANIFEST).read_bytes())["model"]["handler"]
    verification.verify_folder(folder / "unpacked", handler)


def handler(archive: Path, folder: Path) -> None:
    """Under TorchServe's own worker."""
    unpack(archive, folder / "unpacked")
    check_signing(folder / "unpacked")


def serve(archive: Path, folder: Path) -> None:
    (folder / "kept").mkdir()
    shutil.copy(archive, folder / "kept")
    if refusals := fill(Stores(folder / "kept", folder / "served"), *configured_keys()):
        raise ArchiveError(refusals[0].reason)


def verify(archive: Path, folder: Path) -> None:
    check_archive(archive)


def register(archive: Path, folder: Path) -> None:
    for name in ("kept", "served"):
        (folder / name).mkdir()
    with staged_archive(archive, Stores(folder / "kept", folder / "served")):
        pass


def fetch(archive: Path, folder: Path) -> None:
    pull(str(archive), file_digest(archive), folder / "store")


def batch(archive: Path, folder: Path) -> None:
    (folder / "rows.jsonl").write_text("[1, 2]\n")
    job = job_of(JobRequest(str(archive), (str(folder / "rows.jsonl"),)))
    batch_worker.Worker(job, str(folder / "out"), Machine(1)).close()


PLACES = (worker, handler, serve, verify, register, fetch, batch)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_every_place_loads_the_same_archives(world, configure, tmp_path, case, place):
    loaded = []
    for signer in SIGNERS:
        configure(case)
        folder = tmp_path / signer
        folder.mkdir()
        with contextlib.suppress(RuntimeError, OnnxserveError):  # the worker's errors are no others'
            place(world.archives[signer], folder)
            loaded.append(signer)
    assert tuple(loaded) == case.trusted


def test_a_refusal_says_which_key_was_revoked_and_why(world, configure):
    configure(CASES["the old key is revoked"])
    with pytest.raises(ArchiveError, match=r"the key that signed it, .*old\.pub, is revoked: a laptop was lost"):
        check_archive(world.archives["old"])


def test_a_key_that_comes_into_the_folder_and_one_that_is_revoked_count_from_the_next_load(
    world, tmp_path, monkeypatch, archive
):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv(KEY, str(world.both))
    monkeypatch.setenv(REVOKED, str(tmp_path / "revoked.txt"))
    (tmp_path / "revoked.txt").touch()
    third = make_key(tmp_path / "third.pem")
    sign_archive(archive, tmp_path / "third.pem", tmp_path / archive.name)
    unpack(tmp_path / archive.name, tmp_path / "unpacked")
    with pytest.raises(ArchiveUntrusted, match="not by any of"):
        check_signing(tmp_path / "unpacked")
    copy = Path(shutil.copy(third, world.both))
    try:
        assert check_signing(tmp_path / "unpacked") == copy
        revoke(third, tmp_path / "revoked.txt", "not any more")
        with pytest.raises(ArchiveUntrusted, match="is revoked: not any more"):
            check_signing(tmp_path / "unpacked")
    finally:
        copy.unlink()


def command(monkeypatch, capsys, *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["onnxserve", *words])
    code: object = 0
    try:
        app.main()
    except SystemExit as ended:
        code = ended.code or 0
    output = capsys.readouterr()
    return int(str(code)), output.out, output.err


def test_the_command_writes_lines_that_are_read(world, tmp_path, monkeypatch, capsys):
    path = tmp_path / "lists" / "revoked.txt"
    monkeypatch.setenv(REVOKED, str(path))
    code, out, _ = command(
        monkeypatch, capsys, "archive", "revoke", str(world.keys["old"]), "--reason", "a laptop\nwas lost"
    )
    assert (code, f"key {key_digest(world.keys['old'])} a laptop was lost" in out) == (0, True)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))  # as an editor may leave it
    code, out, _ = command(monkeypatch, capsys, "archive", "revoke", str(world.archives["new"]), "--json")
    assert code == 0
    assert json.loads(out)["line"] == f"archive {archive_digest(world.archives['nobody'])}"
    assert len(path.read_text().splitlines()) == 2
    monkeypatch.setenv(KEY, str(world.keys["new"]))
    code, _, err = command(monkeypatch, capsys, "archive", "verify", str(world.archives["new"]))
    assert code == 1
    assert "the archive is revoked" in err


def test_what_can_not_be_revoked_is_said(world, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv(REVOKED, raising=False)
    code, _, err = command(monkeypatch, capsys, "archive", "revoke", str(world.keys["old"]))
    assert code == 1
    assert "--list" in err
    (tmp_path / "other.txt").write_text("no key")
    words = ("archive", "revoke", str(tmp_path / "other.txt"), "--list", str(tmp_path / "revoked.txt"))
    code, _, err = command(monkeypatch, capsys, *words)
    assert code == 1
    assert "public key" in err
    assert not (tmp_path / "revoked.txt").exists()


def test_verify_takes_one_of_several_keys(world, monkeypatch, capsys):
    monkeypatch.setattr(check, "answers", lambda *_: [])
    keys = [word for path in world.keys.values() for word in ("--public-key", str(path))]
    assert command(monkeypatch, capsys, "archive", "verify", str(world.archives["new"]), *keys)[0] == 0
    assert command(monkeypatch, capsys, "archive", "verify", str(world.archives["nobody"]), *keys)[0] == 1


def test_doctor_reports_what_a_server_has_loaded_and_would_not_load_again(world, configure, tmp_path):
    settings = Settings(tmp_path / "config.properties", tmp_path / "kept", tmp_path / "state")
    settings.store.mkdir()
    shutil.copy(world.archives["old"], settings.store)
    stores = own_stores(settings)
    configure(CASES["both keys"])
    assert fill(stores, *configured_keys()) == []
    make_run_folder(settings.run)
    with lock_run_folder(settings.run):
        record_stores(settings, stores)
        assert trust(settings).fix == ""
        configure(CASES["the old key is revoked"])
        finding = trust(settings)
        assert finding.fix
        assert "the server has circle-1.0.0.mar: the key that signed it" in finding.result
        assert "a laptop was lost" in finding.result
        configure(CASES["a list that can't be read"])
        assert "line 1" in trust(settings).result
    configure(CASES["nothing is asked for"])
    assert trust(settings).fix == ""
