"""Release steps on a fake TorchServe."""

from onnxserve.gateway import RoleStore
from onnxserve.release import History, ReleaseService
from onnxserve.torchserve import Management
from tests.helpers.fakes import FakeTorchServe


def release(tmp_path, server: FakeTorchServe, **defaults: str) -> ReleaseService:
    management = Management("http://fake", transport=server.transport())
    return ReleaseService(management, History(tmp_path), tmp_path / "store", RoleStore(tmp_path), defaults)
