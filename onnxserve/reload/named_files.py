"""The files outside of a model's folder that its model.toml names by path: weights, rows, a feature store.

Code lies in the model's folder, or in a package that is installed.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from onnxserve.locations.filesystem import is_wild, local_path, wild_root
from onnxserve.locations.location import MARK, is_function, is_prediction_log, is_remote

FIELDS = (("source",), ("rows",), ("rows", "location"), ("features", "repo"))  # that may be a path


def outside_paths(folder: Path) -> Iterator[Path]:
    """Yield the files and folders that lie elsewhere; none while model.toml can't be read, which is watched itself."""
    root = folder.absolute()
    try:
        document = tomllib.loads((root / "model.toml").read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return
    for place in dict.fromkeys(places(document)):
        path = Path(os.path.normpath(root / local_path(place)))  # links stay, since they may be changed too
        yield from (each for each in matches(path) if not each.is_relative_to(root))


def matches(path: Path) -> Iterable[Path]:
    """Return what a path or a glob stands for; a file may have the signs of a glob in its name."""
    if path.exists() or not is_wild(str(path)):
        return [path]
    base = Path(wild_root(str(path)))
    try:
        return list(base.glob(str(path.relative_to(base))))
    except (OSError, ValueError):  # such as `a**b`, of which the export says what is wrong
        return []


def places(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths and globs of this machine that a definition names, as it writes them."""
    sources = document.get("sources", ())
    entries = sources if isinstance(sources, list) else ()
    texts = [*(text_at(document, names) for names in FIELDS), *(text_at(entry, ("location",)) for entry in entries)]
    for text in texts:
        if text and not (is_function(text) or is_remote(text) or is_prediction_log(text)):
            yield text.partition(MARK)[0]


def text_at(table: Any, names: tuple[str, ...]) -> str:
    """Return the text of a field within tables, empty if there is none."""
    for name in names:
        table = table.get(name) if isinstance(table, dict) else None
    return table if isinstance(table, str) else ""
