"""What `onnxserve serve` says once it is up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onnxserve.cli import serve
from onnxserve.cli.watching import make_log_folder
from onnxserve.errors import GatewayError, ServerError
from onnxserve.gateway.config import Predictions
from onnxserve.supervisor.store import StoredArchive
from onnxserve.torchserve import Settings


def test_a_version_that_gives_no_first_answer_is_reported_and_ends_nothing(monkeypatch, capsys):
    def ask(_: object, model: str, *_more: object, timeout_s: float) -> dict[str, Any]:
        assert timeout_s <= 10
        if model == "bad":
            raise ServerError("507: Worker died.")
        return {"predictions": [{"label": "inside"}]}

    stored = [StoredArchive(Path(f"{name}.mar"), (name, "1.0"), ours=True) for name in ("bad", "good", "idle")]
    monkeypatch.setattr(serve, "stored_archives", lambda _: stored)
    monkeypatch.setattr(serve, "golden_body", lambda _: b"{}")
    monkeypatch.setattr(serve, "ask", ask)
    serve.first_answers(Settings(Path("config.properties")), {("bad", "1.0"), ("good", "1.0")})
    captured = capsys.readouterr()
    assert captured.out == "good 1.0: {'label': 'inside'}\n"
    assert captured.err == "bad 1.0: no answer: 507: Worker died.\n"


def test_of_a_long_first_answer_its_begin_is_shown(monkeypatch, capsys):
    stored = [StoredArchive(Path("cut.mar"), ("cut", "1.0"), ours=True)]
    monkeypatch.setattr(serve, "stored_archives", lambda _: stored)
    monkeypatch.setattr(serve, "golden_body", lambda _: b"{}")
    monkeypatch.setattr(serve, "ask", lambda *_, **__: {"predictions": [{"embedding": [0.5] * 1000}]})
    serve.first_answers(Settings(Path("config.properties")), {("cut", "1.0")})
    printed = capsys.readouterr().out.replace("\n", "")
    assert printed.startswith("cut 1.0: {'embedding': [0.5, 0.5")
    assert printed.endswith("…")
    assert len(printed) == serve.WIDEST + 1


def test_the_commands_to_try_work_for_the_models_that_are_served():
    ours = serve.next_steps("http://h", ["old", "segment"], {"segment"})
    assert "curl http://h/v2/models/segment" in ours
    migrated = serve.next_steps("http://h", ["old"], set())
    assert "/v2/" not in migrated, "its handler doesn't know the protocol, and answers 501"
    assert "curl -T FILE http://h/predictions/old" in migrated


def test_a_model_describes_itself_if_the_handlers_of_all_its_served_versions_are_ours(monkeypatch):
    stored = [
        StoredArchive(Path("a.mar"), ("mixed", "1.0"), ours=False),
        StoredArchive(Path("b.mar"), ("mixed", "2.0"), ours=True),
        StoredArchive(Path("c.mar"), ("new", "1.0"), ours=True),
        StoredArchive(Path("d.mar"), None, ours=False),
    ]
    monkeypatch.setattr(serve, "stored_archives", lambda _: stored)
    versions = {("mixed", "1.0"), ("mixed", "2.0"), ("new", "1.0")}
    assert serve.described_models(Path(), versions) == {"new"}
    assert serve.described_models(Path(), versions - {("mixed", "1.0")}) == {"mixed", "new"}


@pytest.mark.parametrize(
    ("name", "message"), [("$HOME", r"with '\$'"), ("a\nb", "has a line break"), ("\udce9", "isn't UTF-8")]
)
def test_a_folder_that_can_not_be_told_to_a_service_is_refused_before_anything_starts(
    tmp_path, monkeypatch, name, message
):
    monkeypatch.setattr(serve, "run", lambda *_: pytest.fail("it started"))
    with pytest.raises((GatewayError, ServerError), match=message):
        serve.serve(state=tmp_path / name)
    assert not [*tmp_path.iterdir()]


def test_a_prediction_log_that_can_not_be_written_is_refused_by_its_folder(tmp_path):
    (tmp_path / "file").write_text("")
    settings = Settings(Path("config.properties"), state=tmp_path / "my é")
    with pytest.raises(GatewayError, match=r"the prediction log can't be written(.|\n)*file"):
        make_log_folder(Predictions(folder=str(tmp_path / "file")), settings)
    assert make_log_folder(Predictions(), settings) == tmp_path / "my é" / "predictions"
