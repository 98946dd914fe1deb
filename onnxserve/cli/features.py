"""`onnxserve features`: the feature store beside the server."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import msgspec
import typer

from onnxserve.archive import read_signature
from onnxserve.errors import ArchiveError, FeatureError
from onnxserve.torchserve import Settings

from .app import AsJson, app, console, out, show
from .server import Config, State, settings_from

URL = "ONNXSERVE_FEATURES"  # where handlers look for the feature server
commands = typer.Typer(help="Features of a model from a Feast store.", no_args_is_help=True)
app.add_typer(commands, name="features")

RepoFolder = Annotated[Path, typer.Argument(help="A Feast repository: the folder with feature_store.yaml.")]
Archive = Annotated[Path, typer.Argument(help="The archive (.mar) that names a FeatureService.")]
Port = Annotated[int, typer.Option(help="Of the feature server, on loopback.")]
Url = Annotated[str, typer.Option(help="The feature server.")]


def library() -> ModuleType:
    """`onnxserve.features`, whose dependencies are an extra."""
    try:
        from onnxserve import features
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        raise FeatureError("feast is not installed", fix="pip install 'onnxserve[features]'") from error
    return features


def feature_service(repo: Path, settings: Settings, port: int) -> Any:
    """A feature store's server, for a supervisor."""
    from onnxserve.supervisor.feature_server import Features

    opened = library().open_repo(repo, settings.state)
    return Features(opened, settings.run, port, specs(settings.store))


def needs_features(store: Path, served: set[tuple[str, str]]) -> bool:
    """Whether a version with traffic takes features; the others need not wait for the store."""
    named = {f"{name}-{version}.mar" for name, version in served}
    return any(file in named for file in specs(store))


def specs(store: Path) -> dict[str, dict[str, Any]]:
    """What archives of a model store take from a feature store, by file name."""
    found: dict[str, dict[str, Any]] = {}
    for archive in sorted(store.glob("*.mar")):
        with contextlib.suppress(ArchiveError):  # it isn't ours, or damaged: TorchServe judges it
            if spec := read_signature(archive).get("features"):
                found[archive.name] = spec
    return found


def unserved(store: Path) -> list[str]:
    """A line for each model whose feature store is not ours to start."""
    return [
        f"{name} takes features of {spec['service']} from a server on port 6566; "
        f"--features REPOSITORY starts one, or set {URL}\n"
        for name, spec in specs(store).items()
        if URL not in os.environ
    ]


def asked_by(archive: Path) -> Any:
    """The join that an archive's signature asks for."""
    spec = read_signature(archive).get("features")
    if not spec:
        raise FeatureError("this model takes no features from a store", where=str(archive))
    return library().Join(spec["service"], tuple(spec["entities"]), tuple(spec["columns"]), spec["timestamp"])


@commands.command()
def load(repo: RepoFolder, state: State = None, config: Config = None) -> None:
    """Register the definitions and bring the online store up to now. Example: onnxserve features load REPO."""
    features = library()
    opened = features.open_repo(repo, settings_from(state=state, config=config).state)
    with console.status("loading"):
        features.load(opened)
    out.print(f"online store and registry are up to date; they lie in {opened.home}", markup=False)


@commands.command()
def serve(repo: RepoFolder, port: Port = 6566, state: State = None, config: Config = None) -> None:
    """Only the feature server; Ctrl-C ends it. Example: onnxserve features serve models/churn/store."""
    features = library()
    opened = features.open_repo(repo, settings_from(state=state, config=config).state)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with console.status("starting"):
        server = features.start_features(opened, port)
    try:
        out.print(f"ready on {server.url}; log in {server.log}; Ctrl-C stops", markup=False)
        while server.alive():
            time.sleep(0.5)
        raise FeatureError("the feature server ended", where=str(server.log))
    except KeyboardInterrupt:
        console.print("stopping")
    finally:
        server.stop()


@commands.command()
def join(
    archive: Archive,
    repo: RepoFolder,
    rows: Annotated[Path, typer.Argument(help="Parquet with keys and times.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Parquet: the rows and their features.")],
    state: State = None,
    config: Config = None,
) -> None:
    """Features as they were at each row's time. Example: onnxserve features join x.mar REPO rows.parquet -o j."""
    features, table = library(), read_rows(rows)
    opened = features.open_repo(repo, settings_from(state=state, config=config).state)
    found = features.join(opened, asked_by(archive), table)
    for name in found.column_names:
        table = table.drop_columns([name]) if name in table.column_names else table
        table = table.append_column(name, found[name])
    import pyarrow.parquet as pq

    pq.write_table(table, output)
    out.print(f"{table.num_rows:,} rows in {output}", markup=False)


@commands.command()
def check(  # noqa: PLR0913 - each is a flag
    archive: Archive,
    repo: RepoFolder,
    rows: Annotated[Path, typer.Argument(help="Parquet with keys of entities to compare.")],
    limit: Annotated[int, typer.Option(min=1, help="Entities at most.")] = 500,
    url: Url = "http://127.0.0.1:6566",
    tolerance: Annotated[float, typer.Option(min=0, help="Relative difference that is none.")] = 1e-6,
    state: State = None,
    config: Config = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Whether both stores say the same of entities. Example: onnxserve features check x.mar REPO keys.parquet."""
    features, what, table = library(), asked_by(archive), read_rows(rows)
    opened = features.open_repo(repo, settings_from(state=state, config=config).state)
    if missing := [name for name in what.entities if name not in table.column_names]:
        raise FeatureError(f"missing columns: {', '.join(missing)}", where=str(rows))
    keys = list(dict.fromkeys(zip(*(table[name].to_pylist() for name in what.entities), strict=True)))[:limit]
    found = features.skew(opened, url, what, keys, tolerance=tolerance)

    def human() -> None:
        out.print(
            f"{found.compared:,} values of {found.entities:,} entities compared, {len(found.differences):,} differ"
        )
        for one in found.differences[:10]:
            out.print(f"  {one.column} of {one.entity}: online {one.online}, offline {one.offline}", markup=False)

    show(msgspec.to_builtins(found), human, as_json=as_json)
    if found.differences:
        console.print("fix:   onnxserve features load brings the online store up to date")
        sys.exit(1)


def read_rows(path: Path) -> Any:
    """A Parquet file as a table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise FeatureError(f"not a readable Parquet file: {error}", where=str(path)) from error
