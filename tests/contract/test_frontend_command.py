"""Our command line against the one that TorchServe's own start script builds."""

import sys

import pytest

from onnxserve.torchserve import find_java
from onnxserve.torchserve.command import frontend_command
from onnxserve.torchserve.properties import render_properties


class Started(Exception):
    pass


@pytest.mark.parametrize("plugins", [{}, {"plugins_path": "/plugins"}, {"plugins_path": "/plugins/*"}])
def test_the_command_is_the_one_of_torchserves_start_script(tmp_path, monkeypatch, plugins):
    from ts import model_server

    (tmp_path / "store").mkdir()
    config = tmp_path / "config.properties"
    properties = {"model_store": str(tmp_path / "store"), "vmargs": "-Xmx1g -Dmodel_server_home=worker", **plugins}
    config.write_text(render_properties(properties))
    java = find_java()
    commands = []

    def popen(command):
        commands.append(command)
        raise Started

    monkeypatch.setattr(model_server.subprocess, "Popen", popen)
    monkeypatch.setattr(sys, "argv", ["torchserve", "--start", "--ncs", "--ts-config", str(config)])
    monkeypatch.setenv("JAVA_HOME", str(java.home))
    monkeypatch.setenv("TEMP", str(tmp_path))
    monkeypatch.setattr(model_server.tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("TS_CONFIG_FILE", raising=False)
    with pytest.raises(Started):
        model_server.start()
    assert frontend_command(java, config, properties, tmp_path) == commands[0]
