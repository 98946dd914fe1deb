"""What clients prove themselves with is kept to itself."""

from __future__ import annotations

import psutil

from onnxserve.gateway import Roles
from onnxserve.gateway.config import Auth
from onnxserve.gateway.keys import Key, add
from tests.helpers.gateway import STABLE, client_of, config, gateway_of


def test_keys_and_tokens_are_in_no_log_and_no_command_line(upstream, tmp_path):
    path = tmp_path / "keys.json"
    secret, token = add(path, Key("shop")), "Bearer abc.def.ghi"
    tables = config(auth=Auth(required=True, keys=str(path)))
    gateway = gateway_of(tables, tmp_path, upstream.port)
    with client_of(gateway, Roles({"demo": STABLE})) as client:
        assert client.post(x_api_key=secret).status_code == 200
        assert client.post(x_api_key="osk_wrong", authorization=token).status_code == 401
        client.logged(2)
        logs = {file.name: file.read_text(errors="replace") for file in gateway.run.glob("*.log")}
        commands = [" ".join(process.cmdline()) for process in psutil.Process().children(recursive=True)]
    assert "access.log" in logs
    assert logs["access.log"].count("\n") >= 2
    assert any("nginx" in command for command in commands)
    for text in (*logs.values(), *commands, path.read_text()):
        for hidden in (secret, "osk_wrong", "abc.def.ghi"):
            assert hidden not in text
