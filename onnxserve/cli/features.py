"""`onnxserve features`: the feature store beside the server."""

from __future__ import annotations

import contextlib
import os
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

from .console import AsJson, console, out, show, show_lines
from .groups import features as commands
from .server import Config, State, settings_from
from .table import print_table

URL = "ONNXSERVE_FEATURES"  # where handlers look for the feature server
DIFFERENCES = ("entity", "feature", "online", "offline")
SHOWN = 10  # differences

RepoFolder = Annotated[Path, typer.Argument(help="A Feast repository: the folder with feature_store.yaml.")]
Archive = Annotated[Path, typer.Argument(help="The archive (.mar) that names a FeatureService.")]
Port = Annotated[int, typer.Option(help="TCP port of the feature server, on loopback.")]
Url = Annotated[str, typer.Option(help="URL of the feature server.")]


def library() -> ModuleType:
    """Return `onnxserve.features`; FeatureError names the extra that brings its dependencies."""
    try:
        from onnxserve import features
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        raise FeatureError("feast is not installed", fix="pip install 'onnxserve[features]'") from error
    return features


def feature_service(repo: Path, settings: Settings, port: int) -> Any:
    """Return a feature store's server as a service for a supervisor."""
    from onnxserve.supervisor.feature_server import Features

    opened = library().open_repo(repo, settings.state)
    return Features(opened, settings.run, port, specs(settings.store))


def needs_features(store: Path, versions: set[tuple[str, str]]) -> bool:
    """Return whether a version with traffic takes features; the others need not wait for the store."""
    named = {f"{name}-{version}.mar" for name, version in versions}
    return any(file in named for file in specs(store))


def specs(store: Path) -> dict[str, dict[str, Any]]:
    """Return the feature sections of the signatures of a store's archives, by file name."""
    by_file: dict[str, dict[str, Any]] = {}
    for archive in sorted(store.glob("*.mar")):
        with contextlib.suppress(ArchiveError):  # it isn't ours, or damaged: TorchServe judges it
            if spec := read_signature(archive).get("features"):
                by_file[archive.name] = spec
    return by_file


def unserved_stores(store: Path) -> list[str]:
    """Return a line for each model whose feature store `serve` doesn't start."""
    return [
        f"{name} takes features of {spec['service']} from a server on port 6566; "
        f"--features REPOSITORY starts one, or set {URL}\n"
        for name, spec in specs(store).items()
        if URL not in os.environ
    ]


def join_of(archive: Path) -> Any:
    """Return the join that an archive's signature describes; FeatureError if it describes none."""
    spec = read_signature(archive).get("features")
    if not spec:
        raise FeatureError("this model takes no features from a store", where=str(archive))
    return library().Join(spec["service"], tuple(spec["entities"]), tuple(spec["columns"]), spec["timestamp"])


@commands.command()
def load(repo: RepoFolder, state: State = None, config: Config = None, *, as_json: AsJson = False) -> None:
    """Register the definitions and bring the online store up to date.

    Example: onnxserve features load models/churn/store
    """
    features = library()
    opened = features.open_repo(repo, settings_from(state=state, config=config).state)
    with console.status("loading"):
        features.load(opened)
    line = f"online store and registry are up to date; they lie in {opened.home}"
    show_lines({"home": str(opened.home)}, line, as_json=as_json)


@commands.command()
def serve(repo: RepoFolder, port: Port = 6566, state: State = None, config: Config = None) -> None:
    """Run the feature server alone; Ctrl-C stops it.

    Example: onnxserve features serve models/churn/store
    """
    features = library()
    opened = features.open_repo(repo, settings_from(state=state, config=config).state)
    with console.status("starting"):
        server = features.start_features(opened, port)
    try:
        out.print(f"ready on {server.url}; log in {server.log}; Ctrl-C stops", markup=False)
        while server.alive():
            time.sleep(0.5)
        raise FeatureError("the feature server ended", where=str(server.log), fix="read the end of its log")
    except KeyboardInterrupt:
        console.print("stopping")
    finally:
        server.stop()


@commands.command()
def join(  # noqa: PLR0913 - each is a flag
    archive: Archive,
    repo: RepoFolder,
    rows: Annotated[Path, typer.Argument(help="A Parquet file with the entities' keys and the times.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The Parquet file to write: the rows with their features.")
    ],
    state: State = None,
    config: Config = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Add the features to rows as they were at each row's time.

    Example: onnxserve features join model_store/churn-1.0.0.mar models/churn/store rows.parquet -o joined.parquet
    """
    features, table = library(), read_rows(rows)
    opened = features.open_repo(repo, settings_from(state=state, config=config).state)
    with console.status("joining"):
        joined = features.join(opened, join_of(archive), table)
    for name in joined.column_names:
        table = table.drop_columns([name]) if name in table.column_names else table
        table = table.append_column(name, joined[name])
    import pyarrow.parquet as pq

    pq.write_table(table, output)
    document = {"rows": table.num_rows, "output": str(output)}
    show_lines(document, f"{table.num_rows:,} rows in {output}", as_json=as_json)


@commands.command()
def check(  # noqa: PLR0913 - each is a flag
    archive: Archive,
    repo: RepoFolder,
    rows: Annotated[Path, typer.Argument(help="A Parquet file with the keys of the entities to compare.")],
    limit: Annotated[int, typer.Option(min=1, help="Most entities to compare.")] = 500,
    url: Url = "http://127.0.0.1:6566",
    tolerance: Annotated[float, typer.Option(min=0, help="Largest relative difference that counts as equal.")] = 1e-6,
    state: State = None,
    config: Config = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Compare the online with the offline store; exit with 1 if they differ.

    Example: onnxserve features check model_store/churn-1.0.0.mar models/churn/store keys.parquet
    """
    features, spec, table = library(), join_of(archive), read_rows(rows)
    opened = features.open_repo(repo, settings_from(state=state, config=config).state)
    if missing := [name for name in spec.entities if name not in table.column_names]:
        raise FeatureError(f"missing columns: {', '.join(missing)}", where=str(rows))
    keys = list(dict.fromkeys(zip(*(table[name].to_pylist() for name in spec.entities), strict=True)))[:limit]
    with console.status("comparing"):
        skew = features.skew(opened, url, spec, keys, tolerance=tolerance)

    def human() -> None:
        out.print(f"{skew.compared:,} values of {skew.entities:,} entities compared, {len(skew.differences):,} differ")
        if skew.differences:
            shown = skew.differences[:SHOWN]
            print_table(DIFFERENCES, [(each.entity, each.column, each.online, each.offline) for each in shown])

    show(msgspec.to_builtins(skew), human, as_json=as_json)
    if skew.differences:
        console.print("fix:   onnxserve features load brings the online store up to date")
        sys.exit(1)


def read_rows(path: Path) -> Any:
    """Return the rows of a Parquet file; FeatureError if it can't be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise FeatureError(f"not a readable Parquet file: {error}", where=str(path)) from error
