"""The program that TorchServe's frontend starts in place of its own worker; `-Dmodel_server_home` selects it."""

from __future__ import annotations

import argparse
import logging
import os
import platform
import sys
from pathlib import Path

from fastworker.confine import CannotConfine, confine
from fastworker.fields import BadFrame
from fastworker.lines import lines, print_line
from fastworker.loop import ACCEPT_S, LoadFailed, listen, serve
from fastworker.metrics import Metrics

log = logging.getLogger(__name__)
# ONNX Runtime sends usage data to its maker unless this variable is set before the import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def parse_arguments() -> argparse.Namespace:
    """Parse the arguments that the frontend passes."""
    parser = argparse.ArgumentParser(prog="model-server-worker", description="The fast TorchServe worker")
    parser.add_argument("--sock-type", required=True, choices=["unix", "tcp"])
    parser.add_argument("--sock-name", help="path of the unix socket, ending in .<number>")
    parser.add_argument("--host", help="address to listen on with tcp, 127.0.0.1 by default")
    parser.add_argument("--port", type=int, help="port to listen on with tcp")
    parser.add_argument("--metrics-config", help="YAML file that declares the metrics")
    parser.add_argument("--async", dest="asynchronous", action="store_true", help="not supported")
    return parser.parse_args()


def main() -> int:
    """Serve one frontend, and return the exit status: 0 once it has left, 1 after an error, which is logged."""
    # Handlers must find TorchServe's package `ts`, and must not find our modules by accident.
    here = Path(__file__).resolve().parent
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != here]
    stream = logging.StreamHandler(sys.stdout)
    stream.setFormatter(lines)
    logging.basicConfig(handlers=[stream], level=logging.INFO)
    arguments = parse_arguments()
    if arguments.asynchronous:
        log.error("asyncCommunication is not supported by this worker: remove it from model-config.yaml")
        return 1
    try:
        confined = confine()
    except CannotConfine as error:
        log.error("the worker ends: %s", error)  # noqa: TRY400 - the message is enough
        return 1
    metrics = Metrics(arguments.metrics_config)
    metrics.print_every_second()
    listener = listen(arguments.sock_type, arguments.sock_name, arguments.host, arguments.port)
    # The frontend waits for these two lines.
    print_line(f"[PID]{os.getpid()}")
    print_line("Torch worker started.")
    log.info(
        "Python runtime: %s%s", platform.python_version(), f"; confined: {', '.join(confined)}" if confined else ""
    )
    try:
        serve(listener, metrics)
    except TimeoutError:
        log.error("no frontend connected within %d s", ACCEPT_S)  # noqa: TRY400 - the message is enough
        return 1
    except (BadFrame, LoadFailed) as error:
        log.error("the worker ends: %s", error)  # noqa: TRY400
        return 1
    finally:
        listener.close()
        if arguments.sock_type == "unix":
            Path(arguments.sock_name).unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
