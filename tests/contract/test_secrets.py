"""What clients prove themselves with is kept to itself."""

from __future__ import annotations

import time

import psutil

from onnxserve.edge import Edge, Labels
from onnxserve.edge.intent import Auth
from onnxserve.edge.keys import Key, add
from tests.door import STABLE, client_of, intent


def test_keys_and_tokens_are_in_no_log_and_no_command_line(upstream, tmp_path):
    path = tmp_path / "keys.json"
    secret, token = add(path, Key("shop")), "Bearer abc.def.ghi"
    tables = intent(auth=Auth(required=True, keys=str(path)))
    edge = Edge(tables, tmp_path / "edge", upstream.port, upstream.port)
    with client_of(edge, Labels({"demo": STABLE})) as client:
        assert client.post(x_api_key=secret).status_code == 200
        assert client.post(x_api_key="osk_wrong", authorization=token).status_code == 401
        time.sleep(1.5)  # logs are flushed each second
        logs = {file.name: file.read_text(errors="replace") for file in edge.run.glob("*.log")}
        commands = [" ".join(process.cmdline()) for process in psutil.Process().children(recursive=True)]
    assert "access.log" in logs
    assert logs["access.log"].count("\n") >= 2
    assert any("envoy" in command for command in commands)
    for text in (*logs.values(), *commands, path.read_text()):
        for hidden in (secret, "osk_wrong", "abc.def.ghi"):
            assert hidden not in text
