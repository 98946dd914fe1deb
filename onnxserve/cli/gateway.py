"""`onnxserve gateway`: the files that gateway.toml becomes, and the gateway without TorchServe."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from onnxserve.gateway import Gateway, GatewayConfig, RoleStore, read_config
from onnxserve.gateway.files import write_files
from onnxserve.gateway.gateway import METRICS_PAGE, Control
from onnxserve.gateway.kubernetes import kubernetes_files
from onnxserve.gateway.nginx.files import gateway_files
from onnxserve.gateway.nginx_process import RunningGateway
from onnxserve.gateway.nginx_process import check as check_files
from onnxserve.gateway.nginx_process import start as start_gateway
from onnxserve.monitoring import start_exporter
from onnxserve.monitoring.observer import Observer
from onnxserve.monitoring.queues import queues_page
from onnxserve.supervisor import Probe, Running, Service
from onnxserve.torchserve import Management, Settings

from .console import AsJson, console, out, show_lines
from .groups import gateway as commands
from .server import Config, GatewayFile, GatewayPort, InferencePort, ManagementPort, State, settings_from
from .tick import Tick

TICK_S = 1.0
SCRAPED_S = 2.0  # TorchServe's time to report its queues; then the page does without


def config_of(settings: Settings) -> GatewayConfig:
    """Return the content of gateway.toml, with host and port as the environment and flags say."""
    config = read_config(settings.gateway_file)
    host, port = settings.gateway_host or config.listen.host, settings.gateway_port or config.listen.port
    listen = msgspec.structs.replace(config.listen, host=host, port=port)
    return msgspec.structs.replace(config, listen=listen)


def gateway_of(settings: Settings, run: Path | None = None) -> Gateway:
    """Return the gateway that the settings name."""
    return Gateway(config_of(settings), (run or settings.run).resolve(), settings.inference, settings.management)


def open_gateway(settings: Settings) -> RunningGateway:
    """Start the gateway before a TorchServe, with the roles as they are; from now on it confirms every change."""
    role_store, gateway = RoleStore(settings.state), gateway_of(settings)
    running = start_gateway(gateway, role_store.roles)
    role_store.record_start(gateway)
    return running


def gateway_service(settings: Settings, tick: Tick) -> Service:
    """Return the gateway as a service for a supervisor; each start takes the roles of that time."""
    role_store, gateway = tick.role_store, gateway_of(settings)

    def start() -> RunningGateway:
        return start_gateway(gateway, role_store.roles, tick.gateway.hand_over() if tick.gateway is not None else None)

    def ready(running: Running) -> None:
        assert isinstance(running, RunningGateway)  # noqa: S101 - `start` made it
        role_store.record_start(gateway)
        tick.gateway = running

    def clear(running: Running) -> None:
        assert isinstance(running, RunningGateway)  # noqa: S101 - `start` made it
        running.clear()

    probe = Probe("control socket", Control(gateway.control).in_force, every_s=2.0, failures=3)
    return Service("gateway", start, ready, (probe,), clear)


@commands.command()
def render(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The folder to write; default: the state folder's run.")
    ] = None,
    gateway_file: GatewayFile = None,
    state: State = None,
    config: Config = None,
    *,
    kubernetes: Annotated[
        bool, typer.Option("--kubernetes", help="Write manifests for a Kubernetes cluster instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write nginx's files, or the manifests for a cluster.

    Example: onnxserve gateway render -o rendered
    """
    settings = settings_from(gateway_file=gateway_file, state=state, config=config)
    gateway, roles = gateway_of(settings, output), RoleStore(settings.state).roles
    files = kubernetes_files(gateway.config, roles) if kubernetes else gateway_files(gateway, roles)
    paths = [str(path) for path in write_files(gateway.run, files)]
    show_lines(paths, *paths, as_json=as_json)


@commands.command()
def check(
    gateway_file: GatewayFile = None, state: State = None, config: Config = None, *, as_json: AsJson = False
) -> None:
    """Let nginx check the files that gateway.toml becomes.

    Example: onnxserve gateway check
    """
    settings = settings_from(gateway_file=gateway_file, state=state, config=config)
    check_files(gateway_of(settings, settings.state / "gateway-check"), RoleStore(settings.state).roles)
    line = f"{settings.gateway_file}: nginx accepts the files that it becomes"
    show_lines({"gateway_file": str(settings.gateway_file), "accepted": True}, line, as_json=as_json)


@commands.command()
def start(
    gateway_file: GatewayFile = None,
    state: State = None,
    config: Config = None,
    inference_port: InferencePort = None,
    management_port: ManagementPort = None,
    gateway_port: GatewayPort = None,
) -> None:
    """Start the gateway alone, in front of a TorchServe that runs; Ctrl-C stops it.

    Example: onnxserve gateway start
    """
    ports = {"inference_port": inference_port, "management_port": management_port, "gateway_port": gateway_port}
    settings = settings_from(gateway_file=gateway_file, state=state, config=config, **ports)
    running, roles = open_gateway(settings), RoleStore(settings.state)
    try:
        with observe_gateway(running.gateway):
            out.print(f"ready on {running.gateway.url}; logs in {running.gateway.run}; Ctrl-C stops", markup=False)
            while running.alive():
                running.refresh()
                running.recount()
                running.spare_disk()
                roles.reconcile()
                time.sleep(TICK_S)
    except KeyboardInterrupt:
        console.print("stopping")
    finally:
        roles.record_stop()
        running.stop()


@contextlib.contextmanager
def observe_gateway(gateway: Gateway, *pages: Callable[[], bytes]) -> Iterator[Observer]:
    """Watch the gateway, and export its counters and `pages` to Prometheus, until the block ends.

    GatewayError if spans are wanted and can't be made.
    """
    observer = Observer(gateway)
    queues = partial(queues_page, Management(gateway.management, timeout_s=SCRAPED_S))
    exporter = start_exporter(gateway.run / METRICS_PAGE, observer.page, queues, *pages, traffic=observer.traffic)
    observer.start()
    try:
        yield observer
    finally:
        exporter.stop()
        observer.stop()
