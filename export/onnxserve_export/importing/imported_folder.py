"""The folder that an import writes: a later import may replace it as long as nobody changed anything in it."""

from __future__ import annotations

import hashlib
import re
import shutil
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from shlex import quote

from onnxserve.definition import Definition, make_definition, read_definition
from onnxserve.definition.toml_literal import literal
from onnxserve.errors import DefinitionError
from onnxserve.scaffold.new import check_name
from onnxserve_handlers.trust.digests import ArchiveCorrupt, content_digest, folder_digests

from .artefact import absolute, relative_path
from .options import ImportOptions
from .outline import Fact

FILE = "model.toml"
MARK = "# As imported, which another import of this name may replace: sha256 "
MARKED = re.compile(rf"^{re.escape(MARK)}([0-9a-f]{{64}})\n", re.MULTILINE)
ROWS = "rows.location"


def check_folder(models: Path, name: str, options: ImportOptions, answers: Mapping[str, Fact]) -> None:
    """Raise DefinitionError for a bad name of a model, or if a person made or changed its folder.

    The error names the fields that this import's options would set.
    """
    check_name(name)
    folder = models / name
    if not folder.exists() or is_as_imported(folder):
        return
    what = "a model with this name exists"
    if (folder / FILE).is_file() and MARKED.search((folder / FILE).read_text(encoding="utf-8", errors="replace")):
        what += ", and it was changed since its import"
    trust = " --trust" if options.trust else ""
    export = f"run onnxserve export {quote(str(folder))}{trust}"
    fields = ", ".join(f"{field} = {literal(fact.value)}" for field, fact in _as_written(answers, folder).items())
    steps = f"set {fields} in {folder / FILE}, and {export}" if fields else f"change {folder / FILE}, and {export}"
    fix = f"{steps}; or choose another name; or remove the folder, if nothing in it is to stay"
    raise DefinitionError(what, where=str(folder), fix=fix)


def _as_written(answers: Mapping[str, Fact], folder: Path) -> Mapping[str, Fact]:
    """Return the answers as the folder's definition would have them: a path of rows is relative to the folder."""
    rows = answers.get(ROWS)
    if rows is None or not isinstance(rows.value, str) or not Path(rows.value).exists():
        return answers
    return {**answers, ROWS: rows._replace(value=relative_path(absolute(Path(rows.value)), folder))}


def is_as_imported(folder: Path) -> bool:
    """Return whether an import wrote the folder, and nothing in it was changed, added or removed since."""
    try:
        mark = MARKED.search((folder / FILE).read_text(encoding="utf-8"))
        return mark is not None and mark[1] == digest_of(folder)
    except (OSError, UnicodeDecodeError, ArchiveCorrupt):
        return False


def digest_of(folder: Path) -> str:
    """Return the hex SHA-256 of all files' names and content, without the mark in model.toml and Python's caches."""
    text = MARKED.sub("", (folder / FILE).read_text(encoding="utf-8"))
    own = hashlib.sha256(text.encode()).hexdigest()
    return content_digest({**folder_digests(folder), FILE: own})


def write_folder(
    folder: Path, text: str, files: Mapping[str, bytes | Path], say: Callable[[str], None] = lambda _: None
) -> Definition:
    """Write a model's folder whole, in place of one that is there, and return its definition.

    `text` is that of model.toml. A folder that can't be read back is removed, and the earlier one stays.
    """
    new = folder.with_name(f".{folder.name}.import")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        for name, content in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copyfile(content, new / name)
            else:
                (new / name).write_bytes(content)
        (new / FILE).write_text(text, encoding="utf-8")
        (new / FILE).write_text(marked(text, digest_of(new)), encoding="utf-8")
        make_definition(tomllib.loads(text), new, where=str(folder / FILE))
    except BaseException:
        shutil.rmtree(new)
        raise
    if folder.exists():
        say(f"      {folder} is as an earlier import wrote it, and is replaced")
        shutil.rmtree(folder)
    new.rename(folder)
    return read_definition(folder)


def marked(text: str, digest: str) -> str:
    """Return the text of model.toml with the mark behind its first comments."""
    lines = text.splitlines(keepends=True)
    place = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "".join([*lines[:place], f"{MARK}{digest}\n", *lines[place:]])
