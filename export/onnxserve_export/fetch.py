"""Step fetch: rows and other files from their locations, pinned and checked; what is fetched is never imported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from onnxserve.definition import Definition, Source
from onnxserve.errors import SourceError
from onnxserve.locations.fetch import Access, NotCached, NotPinned, fetch, open_access
from onnxserve.locations.location import Location, is_function, is_prediction_log, parse_location
from onnxserve.locations.packages import PackageFile, fetch_package

from .export_state import ExportState
from .step import Step

ROWS = "rows"


def fetch_source(source: Source, folder: Path, access: Access) -> Path:
    """Return the file or folder of one source; relative paths are below `folder`."""
    if source.location:
        return fetch(parse_location(source.location, source.sha256), folder, access)
    return fetch_package(PackageFile(source.package, source.version, source.file, source.sha256), access)


def rows_location(definition: Definition) -> Location | None:
    """Return where the rows' files are; None if a function or the prediction log gives them."""
    text = definition.rows.location
    return None if is_function(text) or is_prediction_log(text) else parse_location(text)


def call(state: ExportState) -> None:
    """Fetch everything; one SourceError names all pins that are missing, and all that isn't here while offline."""
    definition, folder = state.definition, state.definition.folder
    access = open_access(offline=state.options.offline, say=state.say, progress=state.progress)
    state.sources, state.row_files = {}, None
    faults: list[tuple[str, SourceError]] = []
    for source in definition.sources:
        try:
            state.sources[source.name] = fetch_source(source, folder, access)
        except (NotPinned, NotCached) as error:
            faults.append((f"sources.{source.name}", error))
    if location := rows_location(definition):
        try:
            state.row_files = fetch(location, folder, access)
        except (NotPinned, NotCached) as error:
            faults.append((ROWS, error))
    if faults:
        raise _together(faults)


def _together(faults: list[tuple[str, SourceError]]) -> SourceError:
    return SourceError(
        "; ".join(error.what for _, error in faults), where="model.toml", fix="\n         ".join(_remedies(faults))
    )


def _remedies(faults: list[tuple[str, SourceError]]) -> Iterator[str]:
    pins = [(field, error.pinned) for field, error in faults if isinstance(error, NotPinned)]
    if pins:
        yield "if you trust what they brought, write these lines into model.toml:"
    for field, pinned in pins:
        yield f'{field if field == ROWS else "location"} = "{pinned}"'
    yield from dict.fromkeys(error.fix for _, error in faults if isinstance(error, NotCached))


STEP = Step("fetch", (), ("sources", "row_files"), call)
