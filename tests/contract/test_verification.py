"""The worker verifies an unpacked archive before any code in it runs; each way to run code is tried."""

from __future__ import annotations

import importlib.util
import json
import py_compile
import struct
from pathlib import Path

import pytest

from onnxserve.archive import make_key, sign_archive, unpack, write_archive
from tests.helpers.frontend import FAST, load_frame, started

MARK = "ran"
# Whoever imports this leaves a file beside the folder.
EVIL = "import pathlib; pathlib.Path(__file__).parents[{up}].joinpath('ran').touch()\n"
GOOD = """
class Good:
    def initialize(self, context):
        self.verified = context.verified
    def handle(self, data, context):
        return [str(self.verified)] * len(data)
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return an unpacked signed archive, with the key beside it."""
    archive, private = tmp_path / "x.mar", tmp_path / "signing.pem"
    make_key(private)
    manifest: dict[str, object] = {"model": {"modelName": "demo", "modelVersion": "1.0", "handler": "service.py"}}
    write_archive(archive, {"service.py": GOOD.encode(), "notes.txt": b"notes"}, manifest)
    sign_archive(archive, private)
    unpack(archive, tmp_path / "model")
    model: Path = tmp_path / "model"
    return model


def load(folder: Path, handler: str = "service.py", *, key: bool = True, path: str = "") -> tuple[int, str]:
    """Return the status of a worker's response to a load, and its output; no hostile code may have run."""
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    public = str(folder.parent / "signing.pub") if key else ""
    with started(FAST, home, PYTHONPATH=path, ONNXSERVE_PUBLIC_KEY=public) as worker:
        [code] = struct.unpack("!i", worker.ask(load_frame(folder, handler))[:4])
        if code != 200:
            assert worker.wait() == 1
    assert not (folder.parent / MARK).exists()
    return code, "\n".join(worker.output)


@pytest.mark.parametrize("key", [True, False])
def test_a_folder_that_is_as_it_was_signed_or_recorded_is_loaded_without_caches(folder, key):
    assert load(folder, key=key)[0] == 200
    assert not list(folder.rglob("__pycache__"))


@pytest.mark.parametrize("key", [True, False])
@pytest.mark.parametrize("name", ["service.py", "notes.txt"])
def test_a_changed_member_is_refused_before_anything_is_imported(folder, key, name):
    (folder / name).write_text(EVIL.format(up=1) + GOOD)
    code, output = load(folder, key=key)
    assert code == 500
    assert f"is invalid for {name}" in output if key else f"{name} differs from its recorded digest" in output
    [refusal] = [json.loads(line) for line in output.splitlines() if "Failed to load model" in line]
    assert (refusal["model"], refusal["version"]) == ("demo", "1.0")  # by which `serve` counts who was refused


@pytest.mark.parametrize("key", [True, False])
@pytest.mark.parametrize("name", ["sitecustomize.py", "usercustomize.py", "json.py", "yaml.py", "cryptography.py"])
def test_code_with_the_name_of_a_module_that_python_or_the_worker_imports_never_runs(folder, key, name):
    (folder / name).write_text(EVIL.format(up=1))
    code, output = load(folder, key=key)
    assert code == 500
    assert name in output


def test_a_package_that_python_imports_first_of_all_never_runs(folder):
    (folder / "encodings").mkdir()
    (folder / "encodings" / "__init__.py").write_text(EVIL.format(up=2))
    assert load(folder)[0] == 500


@pytest.mark.parametrize("key", [True, False])
def test_compiled_code_beside_the_recorded_source_is_refused(folder, key):
    (folder.parent / "evil.py").write_text(EVIL.format(up=1) + GOOD)
    cache = Path(importlib.util.cache_from_source(str(folder / "service.py")))
    py_compile.compile(
        str(folder.parent / "evil.py"), str(cache), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    code, output = load(folder, key=key)
    assert code == 500
    assert cache.name in output


def test_a_link_is_refused_even_if_it_leads_to_the_same_bytes(folder):
    (folder / "service.py").rename(folder.parent / "service.py")
    (folder / "service.py").symlink_to(folder.parent / "service.py")
    code, output = load(folder)
    assert code == 500
    assert "service.py is neither a file nor a folder" in output


def test_with_a_key_an_unsigned_folder_is_refused_whether_it_has_digests_or_not(folder):
    (folder / "model.sig").unlink()
    code, output = load(folder)
    assert code == 500
    assert "ONNXSERVE_PUBLIC_KEY is set, but the archive is not signed" in output
    (folder / "digests.json").unlink()
    assert load(folder)[0] == 500


@pytest.mark.parametrize("bundle", ["", "{}", "[]", "null", '{"dsseEnvelope": {"payload": "e30=", "signatures": []}}'])
def test_with_a_key_a_damaged_signature_is_refused(folder, bundle):
    (folder / "model.sig").write_text(bundle)
    code, output = load(folder)
    assert code == 500
    assert "the signing is invalid: it is damaged" in output


def test_with_a_key_a_handler_that_was_not_signed_is_refused(folder):
    code, output = load(folder, "os:system")
    assert code == 500
    assert "the archive was signed with handler 'service.py', and registered with 'os:system'" in output


def test_with_a_key_python_may_not_have_been_started_with_the_archive_on_its_path(folder):
    code, output = load(folder, path=str(folder))
    assert code == 500
    assert "blacklist_env_vars=PYTHONPATH" in output


def test_with_several_keys_any_of_them_will_do_and_the_handler_sees_the_one_that_held(folder):
    other = make_key(folder.parent / "other.pem")
    home = folder.parent / "home"
    home.mkdir()
    keys = f"{other}:{folder.parent / 'signing.pub'}"
    with started(FAST, home, PYTHONPATH="", ONNXSERVE_PUBLIC_KEY=keys) as worker:
        assert struct.unpack("!i", worker.ask(load_frame(folder, "service.py"))[:4]) == (200,)
    with started(FAST, home, PYTHONPATH="", ONNXSERVE_PUBLIC_KEY=str(other)) as worker:
        assert struct.unpack("!i", worker.ask(load_frame(folder, "service.py"))[:4]) == (500,)
        assert worker.has_printed("it is not by any of")


def test_an_archive_of_others_is_loaded_where_no_key_is_configured(folder):
    for name in ("digests.json", "model.sig"):
        (folder / name).unlink()
    (folder / "helper.py").write_text("WORD = 'imported'\n")
    (folder / "service.py").write_text("import helper\n" + GOOD)
    assert load(folder, key=False)[0] == 200
    manifest = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_bytes())
    assert manifest["model"]["modelName"] == "demo"
