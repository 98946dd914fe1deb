"""Where a gateway may listen, and where its files may lie."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from onnxserve.errors import GatewayError
from onnxserve.gateway import GatewayConfig, Roles, read_config
from onnxserve.gateway.config import Cache, Listen
from onnxserve.gateway.nginx.files import configuration
from onnxserve.torchserve import free_ports
from tests.helpers import plain_http
from tests.helpers.gateway import BODY, STABLE, client_of, config, gateway_of
from tests.helpers.observed import observing

LABELS = Roles({"demo": STABLE})


def post(host: str, port: int) -> httpx.Response:
    return plain_http.post(f"http://{host}:{port}/predictions/demo", content=BODY, timeout=20)


@pytest.mark.parametrize(
    ("host", "reached"),
    [("::1", ["[::1]"]), ("[::1]", ["[::1]"]), ("::", ["[::1]", "127.0.0.1"]), ("localhost", ["localhost"])],
)
def test_an_address_of_either_kind_or_a_name_is_listened_on(host, reached, upstream, tmp_path):
    port, metrics = free_ports(2)
    tables = GatewayConfig(listen=Listen(host=host, port=port, metrics_port=metrics))
    with client_of(gateway_of(tables, tmp_path, upstream.port), LABELS) as client:
        assert client.post().status_code == 200  # at the address that is printed
        assert [post(name, port).status_code for name in reached] == [200] * len(reached)


def test_a_host_that_is_none_is_refused_before_nginx_reads_it(tmp_path):
    file = tmp_path / "gateway.toml"
    file.write_text('[listen]\nhost = "127.0.0.1; include /etc/passwd"\n')
    with pytest.raises(GatewayError, match=r"\$\.listen\.host"):
        read_config(file)


def test_folders_may_have_spaces_in_their_names(upstream, tmp_path):
    state = tmp_path / "a; {b} #'c'"
    state.mkdir()
    gateway = gateway_of(config(cache=Cache(seconds=60)), state, upstream.port)
    with client_of(gateway, LABELS) as client, observing(gateway) as watched:
        assert client.post().headers["x-onnxserve-cache"] == "miss"
        assert client.post().headers["x-onnxserve-cache"] == "hit"
        assert len(client.logged(2)) == 2
        client.set_roles(shadow=None)
        assert watched.samples(lambda seen: len(seen) > 0)
        console = f"http://127.0.0.1:{gateway.config.listen.metrics_port}/console/"
        assert plain_http.get(console).status_code == 200


@pytest.mark.parametrize("name", ['say "hi"', "$HOME", "back\\slash"])
def test_a_folder_whose_name_nginx_would_read_as_something_else_is_refused(name):
    with pytest.raises(GatewayError, match="nginx can't read a path with"):
        configuration(gateway_of(config(), Path("/somewhere") / name, 1))


def test_a_path_with_a_zero_byte_is_refused_by_its_file(tmp_path):
    file = tmp_path / "gateway.toml"
    file.write_text('[predictions]\nfolder = "a\\u0000b"\n')
    with pytest.raises(GatewayError, match=r"a path has no zero byte(.|\n)*a.x00b"):
        read_config(file)


def test_a_cache_by_client_needs_to_know_clients(tmp_path):
    file = tmp_path / "gateway.toml"
    file.write_text("[cache]\nseconds = 5.0\nper_client = true\n")
    with pytest.raises(GatewayError, match="per_client"):
        read_config(file)
    file.write_text("[cache]\nseconds = 5.0\nper_client = true\n[auth]\nrequired = true\n")
    assert read_config(file).cache.per_client


@pytest.mark.parametrize("table", ["cache", "brownout"])
def test_how_old_an_answer_may_be_is_in_whole_seconds_as_nginx_counts_them(tmp_path, table):
    file = tmp_path / "gateway.toml"
    file.write_text(f"[{table}]\nseconds = 0.5\n")
    with pytest.raises(GatewayError, match=rf"multiple of 1.*{table}.seconds"):
        read_config(file)


def test_what_is_printed_is_a_url():
    listen = Listen(host="::1", port=8000)
    assert GatewayConfig(listen=listen).url == "http://[::1]:8000"
