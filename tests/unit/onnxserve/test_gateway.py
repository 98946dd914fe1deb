"""What becomes of gateway.toml and the roles."""

import msgspec
import pytest

from onnxserve.client import loopback, unix
from onnxserve.doctor import checks
from onnxserve.errors import GatewayError
from onnxserve.gateway import Canary, Gateway, GatewayConfig, Model, Roles, Share, read_config, read_roles
from onnxserve.gateway.config import Auth, Cache, Jwt, Limits, Listen, Traces
from onnxserve.gateway.files import write_json
from onnxserve.gateway.nginx.files import gateway_files, sampling_branches
from onnxserve.gateway.roles import roles_document
from onnxserve.paths import resource
from onnxserve.torchserve import Settings

MODEL = Model({"1.0": "a" * 64, "2.0": "b" * 64, "3.0": "c" * 64}, "2.0", "1.0")


def test_the_shipped_file_says_the_defaults():
    shipped = read_config(resource("gateway.toml"))
    assert shipped.auth.keys == str(resource("gateway.toml").resolve().parent / "keys.json")
    assert msgspec.structs.replace(shipped, auth=GatewayConfig().auth) == GatewayConfig()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[listen]\nport = 0", "$.listen.port"),
        ("[listen]\nprot = 1", "prot"),
        ("[cache]\nseconds = 'a'", "$.cache.seconds"),
        ("[deadline]\nanswer_s = 0", "$.deadline.answer_s"),
        ("[listen", "not valid TOML"),
        ("[listen]\ncors = ['nonsense']", "$.listen.cors"),
        ("[listen]\ncors = ['*', 'https://a.example']", "listen.cors"),
        ("[listen]\ntrusted_proxies = ['10.0.0.0/8; }']", "$.listen.trusted_proxies"),
    ],
)
def test_a_wrong_traffic_file_is_refused_with_the_field(tmp_path, text, words):
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    with pytest.raises(GatewayError) as raised:
        read_config(path)
    assert words in raised.value.what
    assert raised.value.where == str(path)


def test_a_file_that_an_editor_of_windows_wrote_is_read(tmp_path):
    (tmp_path / "gateway.toml").write_bytes(b"\xef\xbb\xbf[listen]\r\nport = 8123\r\n")
    assert read_config(tmp_path / "gateway.toml").listen.port == 8123


def test_paths_are_relative_to_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    text = '[auth]\nkeys = "keys.json"\n[predictions]\nfolder = "log"\n'
    (tmp_path / "gateway.toml").write_text(text)
    config = read_config(tmp_path / "gateway.toml")
    assert (config.auth.keys, config.predictions.folder) == (str(tmp_path / "keys.json"), str(tmp_path / "log"))
    (tmp_path / "gateway.toml").write_text("[predictions]\npercent = 1.0\n")
    assert read_config(tmp_path / "gateway.toml").predictions.folder == ""


def test_a_missing_traffic_file_is_said(tmp_path):
    with pytest.raises(GatewayError, match="can't read the gateway's file"):
        read_config(tmp_path / "no.toml")


def test_labels_survive_and_damage_is_said(tmp_path):
    roles = Roles({"demo": Model({"1.0": "a"}, "1.0", canary=Canary("1.0", 5, "x-user"), shadow=Share("1.0", 2))})
    write_json(tmp_path / "roles.json", roles)
    assert read_roles(tmp_path / "roles.json") == roles
    (tmp_path / "roles.json").write_text("{")
    with pytest.raises(GatewayError, match="damaged"):
        read_roles(tmp_path / "roles.json")


def routes(model: Model) -> dict[str, str]:
    routes: dict[str, str] = roles_document(Roles({"demo": model}, 7))["routes"]
    return routes


def config_text(config: GatewayConfig, tmp_path) -> str:
    gateway = Gateway(config, tmp_path / "run", unix(tmp_path / "i.sock"), loopback(8081))
    return gateway_files(gateway, Roles({"demo": MODEL}))["nginx.conf"].decode()


def test_without_a_canary_all_goes_to_the_stable_version_by_a_directive():
    assert routes(MODEL) == {
        "demo/": "2.0",
        "demo/1.0": "1.0",
        "demo/2.0": "2.0",
        "demo/3.0": "3.0",
        "demo@1.0": "a" * 12,
        "demo@2.0": "b" * 12,
        "demo@3.0": "c" * 12,
    }


@pytest.mark.parametrize("parts", [{"canary": Canary("3.0", 5)}, {"shadow": Share("3.0", 5)}, {"level": 1}])
def test_where_a_request_may_go_to_several_a_script_decides(parts):
    model = msgspec.structs.replace(MODEL, **parts)
    assert routes(model)["demo/"] == "*"
    assert routes(model)["demo/3.0"] == "3.0", "a version that is named answers"


def test_the_roles_name_who_falls_back_to_whom_and_their_generation():
    document = roles_document(Roles({"demo": msgspec.structs.replace(MODEL, canary=Canary("3.0", 0.05, "x-user"))}, 7))
    assert document["generation"] == 7
    assert document["models"]["demo"]["fallback"] == "1.0"
    canary = document["models"]["demo"]["canary"]
    assert (canary["version"], canary["percent"], canary["key"]) == ("3.0", 0.05, "x-user")


def test_other_roles_of_the_same_generation_have_another_digest():
    document, other = (
        roles_document(Roles({"demo": Model({"1.0": "a", "2.0": "b"}, stable)}, 7)) for stable in ("1.0", "2.0")
    )
    assert document["digest"] != other["digest"]
    assert document["digest"] == roles_document(Roles({"demo": Model({"1.0": "a", "2.0": "b"}, "1.0")}, 7))["digest"]
    assert document["digest"] != roles_document(Roles({"demo": Model({"1.0": "a", "2.0": "b"}, "1.0")}, 8))["digest"]


def test_a_newer_release_that_lies_there_changes_nothing_of_a_server_that_runs(tmp_path, monkeypatch):
    gateway = Gateway(GatewayConfig(), tmp_path / "run", unix(tmp_path / "i.sock"), loopback(8081))
    before = gateway_files(gateway, Roles())
    monkeypatch.setattr("onnxserve.gateway.nginx.files.HERE", tmp_path)
    assert gateway_files(gateway, Roles()) == before


def test_management_is_behind_internal_paths_only(tmp_path):
    text = config_text(GatewayConfig(), tmp_path)
    blocks = [block for block in text.split("location ")[1:] if "http://management" in block]
    assert blocks
    assert all("internal;" in block for block in blocks)


def test_the_same_configuration_and_labels_render_to_the_same_bytes(tmp_path):
    assert config_text(GatewayConfig(), tmp_path) == config_text(GatewayConfig(), tmp_path)


def test_a_script_is_on_the_way_of_a_plain_request_only_where_something_was_asked_for(tmp_path):
    plain = config_text(GatewayConfig(), tmp_path).split("location = /-/plain")[1].split("location ")[0]
    assert "js_" not in plain
    assert "proxy_pass http://torchserve" in plain


def test_what_nginx_remembers_of_a_key_counts_for_a_second_so_that_nobody_has_to_revoke_it(tmp_path):
    [zone] = [line for line in config_text(GatewayConfig(), tmp_path).splitlines() if "zone zone=policies" in line]
    assert zone.endswith(" ttl=1s;")


def test_what_is_off_is_not_in_the_file(tmp_path):
    text = config_text(GatewayConfig(), tmp_path)
    for word in ("auth_jwt onnxserve", "Access-Control", "set_real_ip_from", "limit_req_zone", "proxy_cache answers"):
        assert word not in text
    listen = Listen(cors=("https://a.example",), trusted_proxies=("10.0.0.0/8",))
    auth = Auth(jwt=Jwt("https://issuer.example", (), "/jwks.json"))
    full = GatewayConfig(listen=listen, auth=auth, limits=Limits(requests_per_second=5), cache=Cache(seconds=5))
    text = config_text(full, tmp_path)
    for word in ("auth_jwt onnxserve", "Access-Control", "set_real_ip_from", "limit_req_zone", "proxy_cache answers"):
        assert word in text


@pytest.mark.parametrize(
    ("percent", "branches"), [(0, "* 00;"), (0.001, "0.01% 01; * 00;"), (5, "5.00% 01; * 00;"), (100, "* 01;")]
)
def test_a_share_of_traces_is_one_that_nginx_takes(percent, branches):
    assert sampling_branches(Traces("http://127.0.0.1:4318", percent)) == branches
    assert sampling_branches(Traces("", percent)) == "* 00;"


def test_doctor_says_when_the_gateway_is_open_to_everybody_or_its_file_is_wrong(tmp_path):
    traffic = tmp_path / "gateway.toml"
    settings = Settings(resource("config.properties"), gateway_file=traffic)
    for text, words, fix in (
        ("", "on 127.0.0.1:8000", ""),
        ("[listen]\nhost = '0.0.0.0'", "open to everybody", "required"),
        ("[listen]\nhost = '0.0.0.0'\n[auth]\nrequired = true", "on 0.0.0.0:8000", ""),
        ("[listen]\nport = 0", "$.listen.port", "docs/reference/configuration.md"),
    ):
        traffic.write_text(text)
        finding = checks.gateway(settings)
        assert words in finding.result
        assert fix in finding.fix
        assert bool(fix) == bool(finding.fix)
