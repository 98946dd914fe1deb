"""The gateway file of the measured onnxserve."""

import tomllib

from benchmarks.subject import SHIPPED, changed


def test_values_of_the_shipped_gateway_file_are_replaced_and_the_others_stay():
    shipped = SHIPPED.read_text(encoding="utf-8")
    before = tomllib.loads(shipped)
    after = tomllib.loads(changed(shipped, {"listen": {"port": "1234"}, "auth": {"required": "true"}}))
    assert after["listen"] == {**before["listen"], "port": 1234}
    assert after["auth"] == {**before.get("auth", {}), "required": True}
    same = set(before) - {"listen", "auth"}
    assert same
    assert {name: before[name] for name in same} == {name: after[name] for name in same}
