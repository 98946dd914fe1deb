"""Manifests of TorchServe: what is read of them, and which archives can't be served at all."""

from __future__ import annotations

import json

import pytest

from onnxserve.errors import ArchiveError
from onnxserve.migrate import read_stock
from onnxserve.migrate.stock import read_config
from tests.helpers.stock import MANIFEST, document, doubler_members, with_manifest, write_zip


def test_name_version_handler_and_members_are_read(tmp_path):
    stock = read_stock(write_zip(tmp_path / "a.mar", doubler_members()))
    assert (stock.name, stock.version, stock.handler_file) == ("doubler", "1.0", "doubler.py")
    assert sorted(stock.members) == ["doubler.py", "factor.npy"]
    assert stock.document == json.loads(doubler_members()[MANIFEST])


@pytest.mark.parametrize("handler", ["doubler", "doubler.py", "doubler:entry", "doubler.py:entry"])
def test_a_handlers_file_is_known_by_every_spelling(tmp_path, handler):
    stock = read_stock(write_zip(tmp_path / "a.mar", with_manifest(doubler_members(), handler=handler)))
    assert stock.handler_file == "doubler.py"


def test_a_built_in_handler_has_no_file_and_a_missing_version_is_torchserves_default(tmp_path):
    members = with_manifest(doubler_members(), handler="image_classifier", modelVersion=None)
    stock = read_stock(write_zip(tmp_path / "a.mar", members))
    assert (stock.handler_file, stock.version) == ("", "1.0")


def test_a_workflow_is_refused_by_name_with_the_archives_of_its_models(tmp_path):
    spec = b"models:\n  min-workers: 1\n  one:\n    url: dog.mar\n  two:\n    url: cat.mar\ndag: {}\n"
    manifest = {"workflow": {"workflowName": "breeds", "specFile": "spec.yaml", "handler": "h.py"}}
    path = write_zip(tmp_path / "breeds.war", {"spec.yaml": spec, MANIFEST: json.dumps(manifest).encode()})
    with pytest.raises(ArchiveError, match="breeds is a workflow") as raised:
        read_stock(path)
    assert raised.value.fix.endswith("cat.mar, dog.mar")


def test_an_archive_of_ours_another_runtime_an_odd_name_and_a_manifest_of_others_are_refused(archive, tmp_path):
    def refused(members: dict[str, bytes], match: str) -> None:
        with pytest.raises(ArchiveError, match=match):
            read_stock(write_zip(tmp_path / "a.mar", members))

    with pytest.raises(ArchiveError, match="it is an archive of onnxserve"):
        read_stock(archive)
    refused({**doubler_members(), MANIFEST: json.dumps({**document(), "runtime": "LSP"}).encode()}, "runtime is 'LSP'")
    refused(with_manifest(doubler_members(), modelName="../up"), "isn't a valid name of a model")
    refused({**doubler_members(), "digests.json": b"{}"}, "names that onnxserve needs")
    refused({**doubler_members(), MANIFEST: b'{"model": {}}'}, "is not torch-model-archiver's")
    refused({**doubler_members(), MANIFEST: b"{"}, "is damaged")


def test_a_configuration_is_read_and_a_missing_or_damaged_one_is_named(tmp_path):
    def config(content: bytes | None) -> dict[str, object]:
        members = with_manifest(doubler_members(), configFile="c.yaml")
        more = {} if content is None else {"c.yaml": content}
        return read_config(read_stock(write_zip(tmp_path / "a.mar", {**members, **more})))

    assert config(b"batchSize: 8\n") == {"batchSize": 8}
    for content, match in ((None, "names c.yaml, which is missing"), (b"{", "is damaged"), (b"[1]", "isn't a mapping")):
        with pytest.raises(ArchiveError, match=match):
            config(content)
