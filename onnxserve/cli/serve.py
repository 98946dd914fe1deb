"""`onnxserve serve`: it starts TorchServe, the gateway and the feature server and keeps them up."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from onnxserve.archive import configured_keys
from onnxserve.gateway import RoleStore
from onnxserve.gateway.nginx.files import check_paths
from onnxserve.gateway.nginx_process import wait_for_ports
from onnxserve.release import ReleaseService, release_of
from onnxserve.release.registration import clear_staged
from onnxserve.supervisor import Events, Stopped, StopSignals, Supervisor, TorchServe
from onnxserve.supervisor.events import FILE
from onnxserve.supervisor.store import fill_store
from onnxserve.torchserve import Settings, check_names, own_stores, record_stores

from .console import console, out
from .exporting import Trust
from .features import URL, feature_service, needs_features, unserved_stores
from .first_request import first_answers, next_steps
from .gateway import config_of, gateway_of, gateway_service
from .groups import root
from .reloading import Development, Folders, Reload, begin_development, development_of
from .server import (
    Config,
    GatewayFile,
    GatewayPort,
    InferencePort,
    ManagementPort,
    MetricsPort,
    State,
    Store,
    settings_from,
)
from .tick import Tick
from .watching import start_console, start_monitoring

WARM_S = 3.0


@dataclass(frozen=True)
class Options:
    """What `serve` was asked for beside the settings."""

    gateway: bool
    features: Path | None
    features_port: int
    timeout_s: float
    warm_s: float
    development: Development | None = None


@root.command()
def serve(  # noqa: PLR0913 - each is a flag
    folders: Folders = None,
    config: Config = None,
    store: Store = None,
    state: State = None,
    inference_port: InferencePort = None,
    management_port: ManagementPort = None,
    metrics_port: MetricsPort = None,
    gateway_file: GatewayFile = None,
    gateway_port: GatewayPort = None,
    timeout: Annotated[float, typer.Option(help="Time for every served version to get ready, seconds.")] = 180.0,
    with_gateway: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--gateway/--no-gateway", help="Start the gateway (nginx) in front of TorchServe.")
    ] = True,
    features: Annotated[
        Path | None, typer.Option(help="A Feast repository; its feature server is started too.")
    ] = None,
    features_port: Annotated[int, typer.Option(help="TCP port of the feature server, on loopback.")] = 6566,
    warm: Annotated[
        float, typer.Option("--warm-up", min=0, help="Load on the frontend before clients get in, seconds; 0 for none.")
    ] = WARM_S,
    *,
    reload: Reload = False,
    trust: Trust = False,
) -> None:
    """Start the server and keep it up; Ctrl-C stops it.

    TorchServe listens on sockets in the state folder that no other user can open; a port that is named makes it listen
    there instead, on loopback. With --reload it also exports and serves what is edited.

    Example: onnxserve serve
    """
    settings = settings_from(
        config=config,
        store=store,
        state=state,
        gateway_file=gateway_file,
        gateway_port=gateway_port,
        inference_port=inference_port,
        management_port=management_port,
        metrics_port=metrics_port,
    )
    development = development_of(folders, reload=reload, trust=trust)
    options = Options(with_gateway, features, features_port, timeout, warm, development)
    check_names(settings)
    if with_gateway:
        check_paths(gateway_of(settings))
    with StopSignals() as signals, contextlib.suppress(Stopped):
        run(settings, options, signals)
    console.print("stopped")


def run(settings: Settings, options: Options, signals: StopSignals) -> None:
    """Run until a signal comes; Stopped if it comes before the server is ready."""
    settings.state.mkdir(parents=True, exist_ok=True)
    events = Events(settings.state / FILE, lambda line: console.print(line, markup=False, highlight=False))
    # The observer sees the last requests too, so it ends after the services.
    with (
        contextlib.ExitStack() as watched,
        Supervisor(settings.run, events, signals) as supervisor,
        contextlib.ExitStack() as running,
    ):
        watch, role_store = None, RoleStore(settings.state)
        role_store.put_back()  # those from before a development server that was killed
        if options.development is not None:
            settings, watch = begin_development(settings, options.development, events, running, signals)
        settings = served_copies(settings, events)
        release = release_of(settings)
        role_store.record_stop()  # a server that was killed left its record of a running gateway
        for line in release.take_up():
            out.print(line, markup=False)
        variables, observer = start_monitoring(settings, watched)
        tick = Tick(settings, release, events, observer)
        running.callback(role_store.record_stop)
        running.callback(start_console(settings).stop)
        begin(settings, options, supervisor, release, tick, variables)
        served_versions = release.served_versions()
        answered, config = first_answers(settings, served_versions), config_of(settings) if options.gateway else None
        if config is not None:
            out.print(f"console on http://127.0.0.1:{config.listen.metrics_port}", markup=False)
        out.print(next_steps(settings, config, answered, served_versions), markup=False)
        if watch is not None:
            watch()
        url = config.url if config is not None else settings.inference
        out.print(f"ready on {url}; logs in {settings.state}; Ctrl-C stops", markup=False)
        supervisor.run(tick)
        console.print("stopping")


def served_copies(settings: Settings, events: Events) -> Settings:
    """Fill the server's own store with verified copies; return the settings with it as the store."""
    stores = own_stores(settings)
    for path in clear_staged(stores.user):
        out.print(f"{path.name}: its registration was interrupted; removed")
    fill_store(stores, configured_keys(), events)
    record_stores(settings, stores)
    return replace(settings, store=stores.server)


def begin(
    settings: Settings,
    options: Options,
    supervisor: Supervisor,
    release: ReleaseService,
    tick: Tick,
    variables: Mapping[str, str],
) -> None:
    """Start all services side by side, then the gateway, so that accepted requests can be answered; it ends first."""
    listen, keepers = config_of(settings).listen, []
    if options.gateway:
        wait_for_ports(listen.port, listen.metrics_port)
    if options.features is not None:
        features = feature_service(options.features, settings, options.features_port)
        variables = {**variables, URL: features.url}
        keeper = supervisor.begin(features.service())
        if needs_features(settings.store, release.served_versions()):
            keepers.append(keeper)
    else:
        out.print("".join(unserved_stores(settings.store)), end="", markup=False)
    server = TorchServe(
        settings, tick.events, release.served_versions, release.restore, variables, options.timeout_s, options.warm_s
    )
    keepers.append(supervisor.begin(server.service()))
    with console.status("starting"):
        for keeper in keepers:
            supervisor.wait(keeper, options.timeout_s + 10)
        if options.gateway:
            supervisor.wait(supervisor.begin(gateway_service(settings, tick)), options.timeout_s)
