"""What `onnxserve serve` refuses before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxserve.cli import serve
from onnxserve.cli.watching import make_log_folder
from onnxserve.errors import GatewayError, ServerError
from onnxserve.gateway.config import Predictions
from onnxserve.torchserve import Settings


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
