"""Servers with the demo models, for the tests that only ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from tests.helpers.archive_cache import fill_once
from tests.helpers.browser import chromium
from tests.helpers.gateway import TorchServeClient, gateway_before
from tests.helpers.once import create_once
from tests.helpers.serving import Serving, serving, settings_in
from tests.helpers.stock import doubler_members, write_tar
from tests.helpers.torchserve import ROOT, Running, running, stock_config


@pytest.fixture(scope="session")
def demo_archives() -> list[Path]:
    """The archives that `make export` made."""
    archives = sorted((ROOT / "model_store").glob("*-1.0.0.mar"))
    names = {archive.name.removesuffix("-1.0.0.mar") for archive in archives}
    assert names >= {"digits", "segment", "sentiment"}, "run `make export` first"
    return archives


@pytest.fixture(scope="session")
def demo(demo_archives: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with them."""
    with running(tmp_path_factory.mktemp("demo"), demo_archives) as server:
        yield server


@pytest.fixture(scope="module")
def demo_gateway(demo: Running) -> Iterator[TorchServeClient]:
    """The gateway before it."""
    with gateway_before(demo) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def circle(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with the small model alone."""
    with running(tmp_path_factory.mktemp("circle"), [archive]) as server:
        yield server


@pytest.fixture(scope="module")
def circle_gateway(circle: Running) -> Iterator[TorchServeClient]:
    """The gateway before it."""
    with gateway_before(circle) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path:
    """The real models with their files, and in `store` the archive that one command made of each."""
    from tests.helpers.real_models import make_archives  # torch and transformers take ten seconds

    return create_once(
        tmp_path_factory, "artefacts", lambda folder: fill_once(pytestconfig, "artefacts", folder, make_archives)
    )


@pytest.fixture(scope="session")
def real_models(artefacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """All of them behind the gateway; a left-over tarball lies in the store too."""
    folder = tmp_path_factory.mktemp("real")
    settings = settings_in(folder / "server", sorted((artefacts / "store").glob("*.mar")))
    write_tar(settings.store / "left-over.tar.gz", doubler_members())
    with serving(settings, folder, "--warm-up", "0") as server:
        yield server


@pytest.fixture(scope="session")
def stock(demo_archives: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The demo models that need no features, on TorchServe's own worker."""
    folder = tmp_path_factory.mktemp("stock")
    archives = [archive for archive in demo_archives if not archive.name.startswith("churn-")]
    with running(folder, archives, stock_config(folder / "config")) as server:
        yield server


@pytest.fixture(params=["demo", "stock"])
def either(request: pytest.FixtureRequest) -> Running:
    """Our worker, then TorchServe's."""
    server: Running = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """A browser for the console."""
    with chromium() as chrome:
        yield chrome
