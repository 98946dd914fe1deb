"""The fake management API against a real TorchServe: same shapes, same refusals."""

import httpx

from onnxserve.torchserve import Management
from tests.helpers.fakes import FakeTorchServe
from tests.helpers.torchserve import running


def test_the_fake_answers_like_torchserve(archive, tmp_path):
    fake = httpx.Client(base_url="http://fake", transport=FakeTorchServe(["1.0.0"]).transport())
    with (
        running(tmp_path, [archive]) as server,
        server.settings.management.client(30) as real,
    ):
        for path in ("/models", "/models/{}", "/models/{}/all"):
            fake_answer, real_answer = fake.get(path.format("demo")), real.get(path.format("circle"))
            assert fake_answer.status_code == real_answer.status_code == 200
            assert _keys(fake_answer.json()) <= _keys(real_answer.json())
        fake_answer, real_answer = fake.get("/models/nobody"), real.get("/models/nobody")
        assert (fake_answer.status_code, set(fake_answer.json())) == (real_answer.status_code, set(real_answer.json()))
        assert real.put("/models/circle/1.0.0/set-default").status_code == 200
        [version] = Management(server.settings.management).versions("circle")
        assert version.ready


def _keys(document: object) -> set[str]:
    if isinstance(document, dict):
        return {f"{key}" for key in document} | {inner for value in document.values() for inner in _keys(value)}
    if isinstance(document, list):
        return {inner for value in document for inner in _keys(value)}
    return set()
