"""Routes while several processes of nginx write them: each sees the roles as they were, and the last write is right.

Two processes meet between one line and the next, which no request can bring about at will: so the script runs in node,
with what nginx would give it, and another process acts at the moment of a write.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from onnxserve.gateway import Roles
from onnxserve.gateway.nginx.files import scripts
from onnxserve.gateway.roles import roles_document
from tests.helpers.gateway import STABLE

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="the script runs in node")
HARNESS = """
import roles from './roles.js';

class Dictionary extends Map {
  set(key, value) { super.set(key, value); }
  keys() { return Array.from(super.keys()); }
}

globalThis.ngx = { shared: { roles: new Dictionary(), ejected: new Dictionary() } };
const routes = {};

// One request in a process of nginx; `meanwhile` is what another process does just before its first write.
function request(meanwhile) {
  const variables = { model: 'demo', named: '', request_id: 'x' };
  let key = '', other = meanwhile;
  Object.defineProperty(variables, 'written_key', { set: (value) => { key = value; } });
  Object.defineProperty(variables, 'written_route', { set: (value) => {
    const act = other;
    other = null;
    if (act) {
      act();
    }
    routes[key] = value;
  } });
  return { variables, return: () => {} };
}

function put(document, meanwhile) {
  roles.control(Object.assign(request(meanwhile), { method: 'POST', requestText: JSON.stringify(document) }));
}
"""


def route_after(folder: Path, steps: str) -> str:
    """What answers requests that name no version, after some steps in words of the harness."""
    for name, content in scripts().items():
        (folder / name).write_text(content.decode().replace("from 'errors.js'", "from './errors.js'"))
    (folder / "package.json").write_text('{"type": "module"}')
    old = Roles({"demo": msgspec.structs.replace(STABLE, previous="2.0")}, 1)
    new = Roles({"demo": msgspec.structs.replace(STABLE, stable="2.0", previous="1.0")}, 2)
    documents = "".join(
        f"const {name} = {json.dumps(roles_document(roles))};\n" for name, roles in (("before", old), ("after", new))
    )
    (folder / "test.js").write_text(f"{HARNESS}{documents}{steps}\nconsole.log(JSON.stringify(routes['demo/']));\n")
    assert NODE
    completed = subprocess.run([NODE, "test.js"], cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    route: str = json.loads(completed.stdout)
    return route


def test_a_request_after_an_ejection_does_not_bring_back_the_stable_version_of_before(tmp_path):
    assert route_after(tmp_path, "put(before); roles.choose(request(() => put(after)));") == "2.0"


def test_an_ejection_that_begins_while_roles_change_leaves_the_new_ones(tmp_path):
    assert route_after(tmp_path, "put(before); roles.eject(request(() => put(after)), 'demo', '1.0', 1000);") == "2.0"


def test_roles_that_change_while_an_ejection_begins_keep_it(tmp_path):
    steps = "put(before); put(before, () => roles.eject(request(), 'demo', '1.0', 1000));"
    assert route_after(tmp_path, steps) == "*"


def test_an_ejection_lasts_when_the_same_version_stays_stable_and_ends_by_itself(tmp_path):
    steps = "put(before); roles.eject(request(), 'demo', '1.0', 1000); put(before);"
    assert route_after(tmp_path, steps) == "*"
    assert route_after(tmp_path, f"{steps} ngx.shared.ejected.delete('demo/1.0'); roles.choose(request());") == "1.0"


def test_a_version_without_another_one_is_asked_though_it_is_ejected(tmp_path):
    steps = "before.models.demo.fallback = ''; put(before); roles.eject(request(), 'demo', '1.0', 1000);"
    assert route_after(tmp_path, steps) == "1.0"
