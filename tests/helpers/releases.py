"""Release steps on a fake TorchServe."""

from onnxserve.gateway import Traffic
from onnxserve.release import History, Release
from onnxserve.torchserve import Management
from tests.helpers.fakes import FakeTorchServe


def release(tmp_path, server: FakeTorchServe, **defaults: str) -> Release:
    management = Management("http://fake", transport=server.transport())
    return Release(management, History(tmp_path), tmp_path / "store", Traffic(tmp_path), defaults)
