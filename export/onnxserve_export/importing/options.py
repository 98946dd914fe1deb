"""The user's options for one import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ImportOptions:
    """Answers to what an artefact doesn't say, as the command line gives them.

    `labels` are names with commas between them, or a file with one on each line, likewise `columns`. Each of `tensors`
    is `NAME=DTYPE[SIZES]`, each of `fields` is `FIELD=VALUE`, a field of model.toml with its value in TOML. `row` is a
    file with an example that clients send. `files` are those that rows of a kind need, such as `tokenizer.json`.
    `trust` reads pickles, `offline` refuses the network. `stores` are folders that must have no archive of the model's
    name and version yet.
    """

    kind: str = ""
    task: str = ""
    labels: str = ""
    columns: str = ""
    rows: str = ""
    version: str = ""
    tensors: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    row: Path | None = None
    files: tuple[Path, ...] = ()
    trust: bool = False
    offline: bool = False
    stores: tuple[Path, ...] = ()
