"""Signing and encryption: which keys may load which archives."""

import base64
import json
import os
import stat
import zipfile
from pathlib import Path

import pytest

from onnxserve.archive import (
    check_archive,
    contents,
    is_signed,
    make_identity,
    make_key,
    reconfigure,
    seal_archive,
    sign_archive,
    unpack,
    write_archive,
)
from onnxserve.archive import (
    check_signing as check_archive_signing,
)
from onnxserve.errors import ArchiveError, OnnxserveError
from onnxserve_export.rerun import rerun
from onnxserve_handlers.trust.digests import MANIFEST, ArchiveCorrupt, check_digests
from onnxserve_handlers.trust.model import IDENTITY, ArchiveEncrypted, read_model
from onnxserve_handlers.trust.signing import KEY, ArchiveUntrusted, check_signing


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> tuple[Path, Path]:
    private = tmp_path_factory.mktemp("keys") / "signing.pem"
    return private, make_key(private)


@pytest.fixture(scope="module")
def signed(archive, keys, tmp_path_factory) -> Path:
    target: Path = tmp_path_factory.mktemp("signed") / archive.name
    sign_archive(archive, keys[0], target)
    return target


def unpacked(archive: Path, folder: Path) -> Path:
    unpack(archive, folder)
    return folder


def test_keys_are_readable_by_their_owner_only_and_never_overwritten(keys, tmp_path):
    private, public = keys
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert b"PRIVATE" not in public.read_bytes()
    with pytest.raises(OnnxserveError, match="the file exists already"):
        make_key(private)
    make_identity(tmp_path / "age.txt")
    assert stat.S_IMODE((tmp_path / "age.txt").stat().st_mode) == 0o600
    with pytest.raises(OnnxserveError, match="the file exists already"):
        make_identity(tmp_path / "age.txt")


def test_a_signed_archive_passes_with_the_signers_key_and_no_other(signed, keys, tmp_path):
    assert is_signed(signed)
    check_archive_signing(signed, keys[1])
    with pytest.raises(ArchiveError, match="signing is invalid"):
        check_archive_signing(signed, make_key(tmp_path / "other.pem"))


def test_an_unsigned_archive_fails_where_a_key_is_asked_for(archive, keys):
    with pytest.raises(ArchiveError, match="not signed"):
        check_archive(archive, [keys[1]])


def test_what_is_not_a_key_is_told(archive, tmp_path):
    (tmp_path / "no.pem").write_text("no key")
    with pytest.raises(ArchiveError, match="can't sign") as caught:
        sign_archive(archive, tmp_path / "no.pem", tmp_path / "x.mar")
    assert "keygen" in caught.value.fix


@pytest.mark.parametrize("name", ["model.onnx", "service.py", "model-config.yaml", "digests.json", MANIFEST])
def test_a_member_changed_together_with_its_digest_breaks_the_signature(signed, keys, tmp_path, name):
    members, manifest, signature = contents(signed)
    if name == MANIFEST:
        manifest["model"]["modelVersion"] = "9.9.9"
    elif name == "digests.json":
        members["added.py"] = b"import os"
    else:
        members[name] += b"\n"
    forged = tmp_path / signed.name
    write_archive(forged, members, manifest, signature)
    with pytest.raises(ArchiveError, match="signing is invalid"):
        check_archive_signing(forged, keys[1])


def test_a_flipped_byte_of_the_signature_is_caught(signed, keys, tmp_path):
    members, manifest, signature = contents(signed)
    assert signature
    for part in ("payload", "sig"):
        bundle = json.loads(signature)
        envelope = bundle["dsseEnvelope"]
        holder = envelope if part == "payload" else envelope["signatures"][0]
        original = base64.b64decode(holder[part])
        for place in range(0, len(original), 1 + len(original) // 20):
            flipped = bytearray(original)
            flipped[place] ^= 1
            holder[part] = base64.b64encode(flipped).decode()
            write_archive(tmp_path / signed.name, members, manifest, json.dumps(bundle).encode())
            with pytest.raises(ArchiveError, match="signing is invalid"):
                check_archive_signing(tmp_path / signed.name, keys[1])


def test_a_new_configuration_drops_the_signature(signed, tmp_path):
    reconfigure(signed, tmp_path / signed.name, {"batchSize": 2})
    assert not is_signed(tmp_path / signed.name)


REWRITES = {
    "reconfigure": lambda path, target, _: reconfigure(path, target, {"batchSize": 2}),
    "seal": lambda path, target, folder: seal_archive(path, make_identity(folder / os.urandom(4).hex()), target),
    "sign": lambda path, target, folder: sign_archive(path, folder / "other.pem", target),
}


def tampered(archive: Path, target: Path) -> Path:
    """Return the archive with other code and the old digests."""
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(target, "w") as target_zip:
        for info in source.infolist():
            content = source.read(info)
            target_zip.writestr(info, content + b"import os\n" if info.filename == "service.py" else content)
    return target


@pytest.mark.parametrize("rewrite", REWRITES.values(), ids=REWRITES)
def test_what_is_not_what_it_records_is_not_rewritten_with_new_digests(archive, tmp_path, rewrite):
    make_key(tmp_path / "other.pem")
    with pytest.raises(ArchiveError, match=r"service\.py differs from its recorded digest"):
        rewrite(tampered(archive, tmp_path / archive.name), tmp_path / "out.mar", tmp_path)
    assert not (tmp_path / "out.mar").exists()


@pytest.mark.parametrize("rewrite", REWRITES.values(), ids=REWRITES)
def test_with_a_key_what_somebody_else_signed_is_not_rewritten(archive, keys, tmp_path, monkeypatch, rewrite):
    other_key = make_key(tmp_path / "other.pem")
    signed_by_others = tmp_path / archive.name
    sign_archive(archive, tmp_path / "other.pem", signed_by_others)
    monkeypatch.setenv(KEY, str(keys[1]))
    with pytest.raises(ArchiveError, match="signing is invalid"):
        rewrite(signed_by_others, tmp_path / "out.mar", tmp_path)
    monkeypatch.setenv(KEY, f"{keys[1]}:{other_key}")
    rewrite(signed_by_others, tmp_path / "out.mar", tmp_path)


def test_with_a_key_only_sign_takes_what_nobody_signed(archive, keys, tmp_path, monkeypatch):
    monkeypatch.setenv(KEY, str(keys[1]))
    with pytest.raises(ArchiveError, match="not signed"):
        reconfigure(archive, tmp_path / "out.mar", {"batchSize": 2})
    sign_archive(archive, keys[0], tmp_path / archive.name)
    reconfigure(tmp_path / archive.name, tmp_path / "out.mar", {"batchSize": 2})


def test_a_worker_with_a_key_loads_only_what_its_owner_signed(signed, archive, keys, tmp_path, monkeypatch):
    assert check_signing(unpacked(archive, tmp_path / "plain")) is None
    monkeypatch.setenv(KEY, str(keys[1]))
    with pytest.raises(ArchiveUntrusted, match="not signed"):
        check_signing(tmp_path / "plain")
    folder = unpacked(signed, tmp_path / "signed")
    (folder / "handlers_x" / "__pycache__").mkdir(parents=True)
    (folder / "handlers_x" / "__pycache__" / "x.pyc").write_bytes(b"cache")  # as Python leaves them
    assert check_signing(folder) == keys[1]
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes() + b"x")
    with pytest.raises(ArchiveUntrusted, match="signing is invalid"):
        check_signing(folder)


def test_a_worker_refuses_strangers_and_missing_members(archive, tmp_path):
    folder = unpacked(archive, tmp_path / "open")
    assert check_digests(folder) > 20
    (folder / "sitecustomize.py").write_text("import os")
    with pytest.raises(ArchiveCorrupt, match=r"sitecustomize.py is not recorded"):
        check_digests(folder)
    (folder / "sitecustomize.py").unlink()
    (folder / "golden.json").unlink()
    with pytest.raises(ArchiveCorrupt, match=r"golden.json is missing"):
        check_digests(folder)


def test_compiled_code_in_an_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.mar", "w") as target_zip:
        target_zip.writestr("handlers_x/__pycache__/base.cpython-311.pyc", b"x")
    with pytest.raises(ArchiveError, match="compiled code"):
        unpack(tmp_path / "x.mar", tmp_path / "out")


def test_a_sealed_archive_opens_with_its_identity_only(archive, tmp_path, monkeypatch):
    recipient = make_identity(tmp_path / "age.txt")
    sealed = tmp_path / archive.name
    seal_archive(archive, recipient, sealed)
    members, _, _ = contents(sealed)
    plain, _, _ = contents(archive)
    assert "model.onnx" not in members
    assert plain["model.onnx"][:64] not in members["model.onnx.age"]
    folder = unpacked(sealed, tmp_path / "open")
    with pytest.raises(ArchiveEncrypted, match=IDENTITY):
        read_model(folder)
    make_identity(tmp_path / "other.txt")
    monkeypatch.setenv(IDENTITY, str(tmp_path / "other.txt"))
    with pytest.raises(ArchiveEncrypted, match="can't be decrypted"):
        read_model(folder)
    with pytest.raises(ArchiveError, match="can't be decrypted"):
        check_archive(sealed)
    monkeypatch.setenv(IDENTITY, str(tmp_path / "age.txt"))
    assert read_model(folder) == plain["model.onnx"]
    assert check_archive(sealed).golden_rows == 2
    assert rerun(sealed).refusal == ""


def test_sealing_twice_or_to_nobody_is_told(archive, tmp_path):
    with pytest.raises(ArchiveError, match="not a recipient"):
        seal_archive(archive, "bob", tmp_path / "x.mar")
    recipient = make_identity(tmp_path / "age.txt")
    seal_archive(archive, recipient, tmp_path / "x.mar")
    with pytest.raises(ArchiveError, match="sealed already"):
        seal_archive(tmp_path / "x.mar", recipient)


def test_the_environment_of_the_tests_names_no_key():
    assert not {KEY, IDENTITY} & set(os.environ)
