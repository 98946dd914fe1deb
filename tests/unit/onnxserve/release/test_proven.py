"""An unproven version never gets all requests unless somebody accepts that."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from onnxserve.cli.app import app
from onnxserve.cli.release import roles
from onnxserve.cli.release.status import status_row
from onnxserve.errors import ReleaseError
from onnxserve.gateway import Auto, Canary, Share
from onnxserve.migrate import read_stock, wrap
from onnxserve.release import ReleaseService
from tests.helpers.fakes import FakeTorchServe
from tests.helpers.releases import release
from tests.helpers.stock import doubler_members, with_manifest, write_zip
from tests.unit.onnxserve.archive.test_evidence import with_summary


@pytest.fixture
def steps(archive, next_archive, tmp_path) -> ReleaseService:
    """A server with a certified version 1.0.0, which is stable, and an unproven 2.0.0."""
    store = tmp_path / "store"
    store.mkdir()
    shutil.copy(archive, store)
    with_summary(next_archive, store / "circle-2.0.0.mar", proof="unproven")
    return release(tmp_path, FakeTorchServe(["1.0.0", "2.0.0"], model="circle"))


def test_promote_refuses_it_and_names_the_flag_that_accepts_it(steps):
    with pytest.raises(ReleaseError, match=r"circle 2\.0\.0 is unproven") as caught:
        steps.promote("circle", "2.0.0")
    assert "--accept-unproven" in caught.value.fix
    assert steps.promote("circle", "2.0.0", accept_unproven=True)[0] == "circle stable: 1.0.0 -> 2.0.0"


def test_a_plan_says_so_too(steps):
    with pytest.raises(ReleaseError, match="is unproven"):
        steps.promote("circle", "2.0.0", plan=True)


def test_it_may_have_a_part_of_the_requests_but_neither_all_nor_more_and_more(steps):
    assert steps.canary("circle", Canary("2.0.0", 5)) == ["circle canary: none -> 2.0.0 at 5 %"]
    with pytest.raises(ReleaseError, match="is unproven"):
        steps.promote("circle")
    with pytest.raises(ReleaseError, match="is unproven"):
        steps.canary("circle", Canary("2.0.0", 100))
    with pytest.raises(ReleaseError, match="is unproven"):
        steps.canary("circle", Canary("2.0.0", 1, auto=Auto((1.0, 50.0))), plan=True)
    assert steps.canary("circle", Canary("2.0.0", 100), accept_unproven=True)
    steps.shadow("circle", Share("2.0.0", 100))  # its answers reach no client


def test_it_does_not_answer_while_the_stable_version_is_too_busy_either(steps):
    with pytest.raises(ReleaseError, match="is unproven"):
        steps.smaller("circle", "2.0.0")
    assert steps.smaller("circle", "2.0.0", accept_unproven=True) == ["circle smaller: none -> 2.0.0"]
    steps.smaller("circle", "")  # removing it needs no proof


def test_a_migrated_archive_is_unproven_too(steps, tmp_path):
    members = with_manifest(doubler_members(), modelName="circle", modelVersion="2.0.0")
    migrated, _ = wrap(read_stock(write_zip(tmp_path / "old.mar", members)), tmp_path / "migrated")
    shutil.copy(migrated, tmp_path / "store" / "circle-2.0.0.mar")
    with pytest.raises(ReleaseError, match="is unproven"):
        steps.promote("circle", "2.0.0", other_signature=True)
    assert {version.version: version.proof for version in steps.status("circle")}["2.0.0"] == "unproven"
    assert steps.promote("circle", "2.0.0", other_signature=True, accept_unproven=True)


def test_going_back_to_it_waits_for_nothing(steps):
    steps.promote("circle", "2.0.0", accept_unproven=True)
    steps.promote("circle", "1.0.0")
    assert steps.rollback("circle")[0] == "circle stable: 1.0.0 -> 2.0.0"


def test_the_status_says_by_which_proof_each_version_serves(steps):
    versions = {version.version: version for version in steps.status("circle")}
    assert (versions["1.0.0"].proof, versions["2.0.0"].proof) == ("certified", "unproven")
    assert "unproven" in status_row(versions["2.0.0"])


def test_the_commands_pass_the_flag_on(steps, monkeypatch):
    monkeypatch.setattr(roles, "server", lambda *_: steps)
    run = CliRunner()
    refused = run.invoke(app, ["release", "promote", "circle", "2.0.0"])
    assert "is unproven" in str(refused.exception)
    result = run.invoke(app, ["release", "promote", "circle", "2.0.0", "--accept-unproven", "--json"])
    assert json.loads(result.output)["changes"][0] == "circle stable: 1.0.0 -> 2.0.0"
