"""Two limits that no server can pass: the model without a server, and a server without a model."""

from __future__ import annotations

import os
import subprocess
import sys

from onnxserve.edge.processes import nginx as nginx_binary

from .prepare import BENCH, Bench, bodies
from .process import Running, start
from .rivals import SERVERS, scratch, variables

PROCESSES = 2
SECONDS = 4

# Decodes, runs and reads the label of batch after batch, as a worker must; argv: batch, seconds, bodies.
LOOP = """
import json, sys, time
from task import Task
task, batch, seconds = Task(), int(sys.argv[1]), float(sys.argv[2])
lines = open(sys.argv[3], "rb").read().splitlines()
at = done = 0
def step():
    global at
    part = [lines[(at + i) % len(lines)] for i in range(batch)]
    at += batch
    return [json.dumps(one).encode() for one in task.predict([json.loads(one) for one in part])]
for _ in range(3): step()
print("ready", flush=True)
sys.stdin.readline()
start = time.perf_counter()
while time.perf_counter() - start < seconds:
    done += len(step())
print(json.dumps(done / (time.perf_counter() - start)))
"""


def raw(bench: Bench, concurrency: int, largest: int) -> float:
    """Rows per second of onnxruntime in process, a thread a core, with the batches that the clients can form."""
    batch = max(1, min(largest, concurrency // PROCESSES))
    lines = BENCH / "run" / "raw.jsonl"
    lines.parent.mkdir(parents=True, exist_ok=True)
    lines.write_bytes(b"\n".join(bodies(bench)))
    command = [sys.executable, "-c", LOOP, str(batch), str(SECONDS), str(lines)]
    environment = os.environ | variables(bench, "onnx")
    running = [
        subprocess.Popen(
            command, cwd=SERVERS, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(min(PROCESSES, concurrency))
    ]
    for one in running:
        assert one.stdout  # noqa: S101 - asked for
        one.stdout.readline()
    for one in running:
        assert one.stdin  # noqa: S101 - asked for
        one.stdin.write("\n")
        one.stdin.flush()
    return sum(float(one.communicate(timeout=120)[0]) for one in running)


def nginx(port: int) -> Running:
    """Nginx with an empty answer, one worker a core."""
    folder = scratch("nginx")
    (folder / "nginx.conf").write_text(
        "worker_processes auto; daemon off; pid nginx.pid; error_log error.log;\n"
        "events { worker_connections 1024; }\n"
        "http { access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u;\n"
        f'scgi_temp_path s; server {{ listen 127.0.0.1:{port}; location / {{ return 200 ""; }} }} }}\n',
        encoding="utf-8",
    )
    return start([nginx_binary(), "-p", str(folder), "-c", "nginx.conf"], folder, {}, folder / "log.txt")
