"""Release steps refuse what would lose requests, and remember what they did."""

import pytest

from onnxserve.errors import OnnxserveError, ReleaseError, ServerError
from onnxserve.gateway import Auto, Canary, RoleStore, Share
from onnxserve.release import History, ReleaseService
from onnxserve.release.history import HistoryNotWritten
from onnxserve.torchserve import Management
from tests.helpers.fakes import FakeTorchServe
from tests.helpers.releases import release


def test_promote_and_rollback_move_between_versions_and_are_recorded(tmp_path):
    server = FakeTorchServe(["1.0", "2.0"])
    steps = release(tmp_path, server)
    assert steps.promote("demo", "2.0") == ["demo stable: 1.0 -> 2.0", "demo fallback: none -> 1.0"]
    assert server.default == "2.0"
    assert steps.rollback("demo") == ["demo stable: 2.0 -> 1.0", "demo fallback: 1.0 -> none"]
    assert server.default == "1.0"
    assert [(event.action, event.changes[0]) for event in steps.history.events("demo")] == [
        ("promote", "demo stable: 1.0 -> 2.0"),
        ("rollback", "demo stable: 2.0 -> 1.0"),
    ]
    assert steps.history.events("demo")[0].by


def test_a_plan_says_what_would_change_and_changes_nothing(tmp_path):
    server = FakeTorchServe(["1.0", "2.0"])
    steps = release(tmp_path, server)
    assert steps.canary("demo", Canary("2.0", 5), plan=True) == ["demo canary: none -> 2.0 at 5 %"]
    assert steps.promote("demo", "2.0", plan=True)[0] == "demo stable: 1.0 -> 2.0"
    assert steps.shadow("demo", Share("2.0", 50), plan=True) == ["demo shadow: none -> 2.0 at 50 %"]
    assert steps.retire("demo", "2.0", plan=True) == ["demo 2.0: removed"]
    assert server.default == "1.0"
    assert server.versions == ["1.0", "2.0"]
    assert steps.history.events("demo") == []
    assert steps.role_store.roles.models["demo"].canary is None


def test_a_canary_is_shown_promoted_and_its_share_ends(tmp_path):
    server = FakeTorchServe(["1.0", "2.0"])
    steps = release(tmp_path, server)
    steps.canary("demo", Canary("2.0", 5))
    steps.shadow("demo", Share("2.0", 10))
    assert [version.role for version in steps.status("demo")] == ["stable", "canary 5 %, shadow 10 %"]
    steps.promote("demo")
    assert [version.role for version in steps.status("demo")] == ["fallback", "stable"]


def test_rolling_back_a_canary_keeps_the_stable_version(tmp_path):
    steps = release(tmp_path, FakeTorchServe(["1.0", "2.0"]))
    steps.canary("demo", Canary("2.0", 5, "x-user"))
    assert steps.rollback("demo") == ["demo canary: 2.0 at 5 % by x-user -> none"]
    assert steps.role_store.roles.models["demo"].stable == "1.0"


@pytest.mark.parametrize("step", ["promote", "canary", "shadow"])
def test_a_version_that_is_not_ready_gets_no_traffic(tmp_path, step):
    server = FakeTorchServe(["1.0", "2.0"], unready={"2.0"})
    steps = release(tmp_path, server)
    with pytest.raises(ReleaseError, match="not ready"):
        steps.promote("demo", "2.0") if step == "promote" else getattr(steps, step)("demo", Canary("2.0", 5))
    assert server.default == "1.0"
    assert steps.role_store.roles.models["demo"].stable == "1.0"


def test_rollback_without_history_asks_for_a_version(tmp_path):
    with pytest.raises(ReleaseError, match="neither a canary nor an earlier stable version"):
        release(tmp_path, FakeTorchServe(["1.0", "2.0"])).rollback("demo")


def test_a_version_with_a_label_is_never_retired_and_another_is(tmp_path):
    server = FakeTorchServe(["1.0", "2.0"])
    steps = release(tmp_path, server)
    with pytest.raises(ReleaseError, match="is stable"):
        steps.retire("demo", "1.0")
    steps.canary("demo", Canary("2.0", 5))
    with pytest.raises(ReleaseError, match="is the canary") as raised:
        steps.retire("demo", "2.0")
    assert "rollback demo" in raised.value.fix
    steps.rollback("demo")
    steps.retire("demo", "2.0", grace_s=0)
    assert server.versions == ["1.0"]


def test_a_models_only_version_is_removed_with_the_model_where_that_is_asked_for(tmp_path):
    server = FakeTorchServe(["1.0", "2.0"])
    steps = release(tmp_path, server)
    with pytest.raises(ReleaseError, match="is stable"):
        steps.retire("demo", "1.0", last=True)
    steps.retire("demo", "2.0", grace_s=0, last=True)
    assert [*steps.role_store.roles.models] == ["demo"]
    with pytest.raises(ReleaseError, match=r"demo 1\.0 is the only version") as raised:
        steps.retire("demo", "1.0")
    assert raised.value.fix == "onnxserve release retire demo 1.0 --last removes the model"
    assert steps.retire("demo", "1.0", last=True, plan=True) == ["demo 1.0: removed"]
    assert server.versions == ["1.0"]
    assert steps.retire("demo", "1.0", grace_s=0, last=True) == ["demo 1.0: removed"]
    assert server.versions == []
    assert steps.role_store.roles.models == {}


def test_a_version_with_pending_requests_is_not_removed(tmp_path, monkeypatch):
    server = FakeTorchServe(["1.0", "2.0"])
    server.pending = 1
    monkeypatch.setattr("onnxserve.release.service.DRAIN_S", 0.3)
    with pytest.raises(OnnxserveError, match="drained"):
        release(tmp_path, server).retire("demo", "2.0", grace_s=0)
    assert server.versions == ["1.0", "2.0"]


def test_a_restart_restores_the_labels_and_promotes_nothing(tmp_path):
    server = FakeTorchServe(["1.9", "1.10"])
    steps = release(tmp_path, server)
    assert steps.restore() == []
    assert steps.role_store.roles.models["demo"].stable == "1.9"
    steps.promote("demo", "1.10")
    steps.canary("demo", Canary("1.9", 25))
    server.default = "1.9"
    assert steps.restore() == [("demo", "1.10")]
    canary = steps.role_store.roles.models["demo"].canary
    assert canary is not None
    assert (canary.version, canary.percent) == ("1.9", 25)


def test_with_lost_state_the_configured_default_serves_else_the_oldest(tmp_path):
    server = FakeTorchServe(["1.0", "2.0", "3.0"])
    steps = release(tmp_path, server, demo="2.0")
    assert steps.restore() == [("demo", "2.0")]
    (tmp_path / "roles.json").unlink()
    assert release(tmp_path, server, demo="9.0").restore() == [("demo", "1.0")]


@pytest.mark.parametrize("ill", [{"1.0"}, {"1.0", "2.0"}])
def test_taking_a_canary_away_waits_for_nobody(tmp_path, ill):
    server = FakeTorchServe(["1.0", "2.0"])
    steps = release(tmp_path, server)
    steps.canary("demo", Canary("2.0", 50))
    server.unready = ill
    assert steps.rollback("demo") == ["demo canary: 2.0 at 50 % -> none"]
    steps.level("demo", 1)
    assert steps.role_store.roles.models["demo"].level == 1


def test_what_lowers_risk_asks_the_server_nothing(tmp_path):
    server = FakeTorchServe(["1.0", "2.0"])
    steps = release(tmp_path, server)
    steps.canary("demo", Canary("2.0", 50))
    steps.shadow("demo", Share("2.0", 50))
    steps.smaller("demo", "2.0")
    server.calls.clear()
    steps.level("demo", 1)
    steps.shadow("demo", None)
    steps.smaller("demo", "")
    steps.rollback("demo")
    assert server.calls == []


def test_taking_a_canary_away_needs_no_answer_of_the_server(tmp_path):
    steps = release(tmp_path, FakeTorchServe(["1.0", "2.0"]))
    steps.promote("demo", "2.0")
    steps.canary("demo", Canary("1.0", 50))
    offline = ReleaseService(
        Management("http://127.0.0.1:1"), History(tmp_path), tmp_path / "store", RoleStore(tmp_path)
    )
    offline.rollback("demo")
    assert offline.role_store.roles.models["demo"].canary is None


def test_a_gateway_that_does_not_answer_fails_the_step_and_nothing_is_recorded(tmp_path):
    steps = release(tmp_path, FakeTorchServe(["1.0", "2.0"]))
    steps.canary("demo", Canary("2.0", 5))
    (tmp_path / "run").mkdir(exist_ok=True)
    (tmp_path / "run" / "gateway.json").write_text("{}")
    before = steps.role_store.roles
    with pytest.raises(OnnxserveError, match="the gateway does not answer"):
        steps.canary("demo", Canary("2.0", 90))
    with pytest.raises(OnnxserveError, match="the gateway does not answer"):
        steps.rollback("demo")
    assert steps.role_store.roles == before
    assert [event.action for event in steps.history.events("demo")] == ["canary"]


def test_after_a_restart_a_version_that_is_gone_has_no_label(tmp_path):
    server = FakeTorchServe(["1.0", "2.0"])
    steps = release(tmp_path, server)
    steps.promote("demo", "2.0")
    steps.canary("demo", Canary("1.0", 25))
    server.versions.remove("2.0")
    server.default = "1.0"
    steps.restore()
    model = steps.role_store.roles.models["demo"]
    assert (model.stable, model.canary and model.canary.version, list(model.versions)) == ("1.0", None, ["1.0"])


def test_workers_that_were_scaled_are_asked_for_again_after_a_restart(tmp_path):
    server = FakeTorchServe(["1.0", "2.0"])
    steps = release(tmp_path, server)
    steps.scale("demo", "2.0", 3)
    server.workers.clear()
    release(tmp_path, server).restore()
    assert server.workers == {"2.0": 3}
    calls = len(server.calls)
    release(tmp_path, server).restore()
    assert not [call for call in server.calls[calls:] if call == "PUT /models/demo/2.0"]
    steps.retire("demo", "2.0", grace_s=0)
    assert steps.role_store.roles.models["demo"].workers == {}


def test_workers_that_do_not_become_ready_are_taken_back(tmp_path, monkeypatch):
    monkeypatch.setattr("onnxserve.release.service.READY_S", 0.2)
    server = FakeTorchServe(["1.0", "2.0"], unready={"2.0"})
    steps = release(tmp_path, server)
    with pytest.raises(ServerError, match=r"3 workers of demo 2\.0: not within"):
        steps.scale("demo", "2.0", 3)
    assert server.workers == {"2.0": 1}
    assert steps.history.events("demo") == []
    server.workers.clear()
    release(tmp_path, server).restore()
    assert server.workers == {}


@pytest.mark.parametrize("workers", [0, -1, 100_000])
def test_no_version_is_scaled_to_none_or_to_more_workers_than_could_help(tmp_path, workers):
    server = FakeTorchServe(["1.0"])
    with pytest.raises(ReleaseError, match=rf"workers must be 1 to \d+ on this machine, got {workers}"):
        release(tmp_path, server).scale("demo", "1.0", workers)
    assert server.workers == {}


def test_an_unknown_version_lists_those_that_are_there(tmp_path):
    with pytest.raises(ReleaseError, match=r"has no version 3.0") as raised:
        release(tmp_path, FakeTorchServe(["2.0", "1.0"])).promote("demo", "3.0")
    assert raised.value.fix == "registered: 1.0, 2.0"


@pytest.mark.parametrize("percent", [0, -1, 101])
def test_a_share_is_more_than_nothing_and_at_most_all(tmp_path, percent):
    with pytest.raises(ReleaseError, match="percent"):
        release(tmp_path, FakeTorchServe(["1.0", "2.0"])).canary("demo", Canary("2.0", percent))


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), -1.0])
def test_steps_that_would_never_end_are_refused(tmp_path, seconds):
    steps = release(tmp_path, FakeTorchServe(["1.0", "2.0"]))
    with pytest.raises(ReleaseError, match="seconds must be finite"):
        steps.canary("demo", Canary("2.0", 5, auto=Auto(seconds=seconds)), plan=True)


@pytest.mark.parametrize("header", ["x_user", "x user", "x-usér", "x-user:"])
def test_a_header_that_never_reaches_the_gateways_scripts_parts_no_clients(tmp_path, header):
    steps = release(tmp_path, FakeTorchServe(["1.0", "2.0"]))
    with pytest.raises(ReleaseError, match="is not a header name by which"):
        steps.canary("demo", Canary("2.0", 50, header))
    assert steps.role_store.roles.models["demo"].canary is None


def test_a_server_that_is_not_there_is_said_plainly(tmp_path):
    steps = ReleaseService(Management("http://127.0.0.1:1"), History(tmp_path), tmp_path, RoleStore(tmp_path))
    with pytest.raises(OnnxserveError, match="no answer from the management API"):
        steps.status()


def test_a_step_is_in_force_though_the_history_can_not_be_written_and_its_line_follows_when_it_can(tmp_path):
    server = FakeTorchServe(["1.0", "2.0"])
    steps = release(tmp_path, server)
    steps.history.path.symlink_to("/dev/full")
    assert steps.promote("demo", "2.0")[0] == "demo stable: 1.0 -> 2.0"
    assert steps.role_store.roles.models["demo"].stable == "2.0"
    with pytest.raises(
        HistoryNotWritten, match="is in force, but the history can't be written: No space left"
    ) as raised:
        steps.history.check_written()
    assert raised.value.exit_code == 3
    assert '"action":"promote"' in raised.value.fix
    steps.history.path.unlink()
    steps.rollback("demo")
    steps.history.check_written()
    assert [event.action for event in steps.history.events("demo")] == ["promote", "rollback"]


@pytest.mark.parametrize("damage", [b'{"time": "2026\n', b'{"time": "2026'])
def test_a_damaged_line_hides_no_other_event(tmp_path, damage):
    steps = release(tmp_path, FakeTorchServe(["1.0", "2.0"]))
    steps.history.path.write_bytes(damage)
    steps.promote("demo", "2.0")
    assert [event.action for event in steps.history.events("demo")] == ["promote"]
