"""Step fetch: rows and other files from their locations, pinned and checked; what is fetched is never imported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onnxserve.definition import Source
from onnxserve.errors import SourceError
from onnxserve.locations.fetch import Access, NotCached, NotPinned, fetch, open_access
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
    """Fetch everything; one SourceError names all pins that are missing, and all that isn't here while offline."""
    definition, folder = state.definition, state.definition.folder
    access = open_access(offline=state.options.offline, say=state.say, progress=state.progress)
    state.sources, state.source_file, state.row_files = {}, None, None
    faults: list[tuple[str, SourceError]] = []
    for source in definition.sources:
        with _collected(faults, f"sources.{source.name}"):
            state.sources[source.name] = fetch_source(source, folder, access)
    if location := location_of(definition.source):
        with _collected(faults, MODEL):
            state.source_file = fetch(location, folder, access)
    if location := location_of(definition.rows.location):
        with _collected(faults, ROWS):
            state.row_files = fetch(location, folder, access)
    if faults:
        raise _together(faults)


@contextmanager
def _collected(faults: list[tuple[str, SourceError]], field: str) -> Iterator[None]:
    try:
        yield
    except (NotPinned, NotCached) as error:
        faults.append((field, error))


def _together(faults: list[tuple[str, SourceError]]) -> SourceError:
    return SourceError(
        "; ".join(error.what for _, error in faults), where="model.toml", fix="\n         ".join(_remedies(faults))
    )


def _remedies(faults: list[tuple[str, SourceError]]) -> Iterator[str]:
    pins = [(field, error.pinned) for field, error in faults if isinstance(error, NotPinned)]
    if pins:
        yield "if you trust what they brought, write these lines into model.toml:"
    for field, pinned in pins:
        yield f'{field} = "{pinned}"' if field in (MODEL, ROWS) else f'{field}: location = "{pinned}"'
    yield from dict.fromkeys(error.fix for _, error in faults if isinstance(error, NotCached))


STEP = Step("fetch", (), ("sources", "source_file", "row_files"), call)
