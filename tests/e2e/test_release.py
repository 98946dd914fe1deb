"""Two versions side by side; traffic moves between them without a lost request."""

import json
import shutil

import pytest

from onnxserve.archive import reconfigure
from onnxserve.errors import ReleaseError, ServerError
from onnxserve.gateway import Auto, Canary
from tests.helpers.serving import Serving, serving, settings_in
from tests.helpers.torchserve import Load, running
from tests.helpers.waiting import wait_for

BODY = json.dumps([0.0, 0.1]).encode()


def test_stable_moves_under_load_rolls_back_and_the_old_version_retires(archive, next_archive, tmp_path):
    with running(tmp_path, [archive]) as server:
        release = server.release
        with Load(server, "circle", BODY) as load:
            assert release.register(next_archive) == "2.0.0"
            assert release.management.default("circle") == "1.0.0"
            assert server.post("circle/2.0.0", BODY).json()["version"] == "2.0.0"
            assert release.promote("circle", "2.0.0")[0] == "circle stable: 1.0.0 -> 2.0.0"
            assert release.rollback("circle")[0] == "circle stable: 2.0.0 -> 1.0.0"
            release.promote("circle", "2.0.0")
            with pytest.raises(ReleaseError, match="is stable"):
                release.retire("circle", "2.0.0")
            release.retire("circle", "1.0.0")
        assert {status for status, _ in load.answers} == {200}
        assert {version for _, version in load.answers} == {"1.0.0", "2.0.0"}
        assert [(version.version, version.default, version.ready) for version in release.status("circle")] == [
            ("2.0.0", True, True)
        ]
        assert server.post("circle/1.0.0", BODY).status_code == 404
        kept = sorted(path.name for path in server.settings.store.iterdir())
        assert kept == ["circle-1.0.0.mar.retired", "circle-2.0.0.mar"]


def test_workers_are_scaled_and_a_restart_keeps_the_labels(archive, next_archive, tmp_path):
    with running(tmp_path / "first", [archive, next_archive]) as server:
        server.release.scale("circle", "2.0.0", 2)
        assert {version.version: version.workers for version in server.release.status("circle")} == {
            "1.0.0": 1,
            "2.0.0": 2,
        }
        server.release.restore()
        server.release.promote("circle", "1.0.0")
    (tmp_path / "second" / "state").mkdir(parents=True)
    shutil.copy(server.settings.state / "roles.json", tmp_path / "second" / "state")
    with running(tmp_path / "second", [archive, next_archive]) as server:
        server.release.management.set_default("circle", "2.0.0")
        server.release.restore()
        assert server.post("circle", BODY).json()["version"] == "1.0.0"


def test_a_version_that_no_worker_loads_is_refused_with_the_reason_and_leaves_nothing(archive, next_archive, tmp_path):
    refused = tmp_path / "in" / next_archive.name
    reconfigure(next_archive, refused, {"handler": {"provider": "cuda"}})
    with running(tmp_path, [archive]) as server:
        with pytest.raises(ServerError, match=r"circle 2.0.0 can't be loaded\n.*Failed to load model") as raised:
            server.release.register(refused)
        assert "cuda" in str(raised.value).lower()
        assert [version.version for version in server.release.status("circle")] == ["1.0.0"]
        assert [path.name for path in server.settings.store.iterdir()] == [archive.name]
        assert server.release.register(next_archive) == "2.0.0"


def test_scaled_versions_have_as_many_workers_after_a_restart_of_serve(archive, next_archive, tmp_path):
    settings = settings_in(tmp_path, [archive, next_archive])

    def workers(server: Serving) -> dict[str, int]:
        return {version.version: version.workers for version in server.release.status("circle")}

    with serving(settings, tmp_path, "--warm-up", "0") as server:
        wait_for(lambda: workers(server) == {"1.0.0": 1, "2.0.0": 1})
        for version in ("1.0.0", "2.0.0"):
            server.release.scale("circle", version, 2)
    with serving(settings, tmp_path, "--warm-up", "0") as server:
        wait_for(lambda: workers(server) == {"1.0.0": 2, "2.0.0": 2})


def test_an_automatic_canary_begins_under_serve_alone(archive, next_archive, tmp_path):
    settings, share = settings_in(tmp_path, [archive, next_archive]), Canary("2.0.0", 5, auto=Auto((5.0,)))
    with serving(settings, tmp_path, "--warm-up", "0") as supervised:
        wait_for(lambda: [version.ready for version in supervised.release.status("circle")] == [True, True])
        assert supervised.release.canary("circle", share) == ["circle canary: none -> 2.0.0 at 5 %, automatic"]
        supervised.release.rollback("circle")
    with running(tmp_path / "plain", [archive, next_archive]) as server:
        with pytest.raises(ReleaseError, match="nothing would control"):
            server.release.canary("circle", share)
        assert server.release.canary("circle", Canary("2.0.0", 5)) == ["circle canary: none -> 2.0.0 at 5 %"]


def test_management_errors_carry_the_servers_reason(circle):
    with pytest.raises(ServerError, match="404"):
        circle.release.management.register("no-such.mar")
    with pytest.raises(ServerError, match="404"):
        circle.release.status("nobody")
    assert circle.get(circle.settings.inference, "/ping").status_code == 200
