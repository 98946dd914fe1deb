"""Models as people hold them, each made an archive by one command, and a server that has them all.

MiniLM and magika's graph come from the package registry; the others have seeded weights.
"""

from __future__ import annotations

import contextlib
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from typer.testing import CliRunner

from onnxserve.cli.app import app
from onnxserve.scaffold import new_model

from . import credit, detector, magika, minilm, premises, recurrent, residual, sound_classifier
from .import_command import Words
from .stock import doubler_members, write_zip


def file_types(work: Path) -> Words:
    """Write magika's graph behind a handler of a user's own."""
    return ("export", str(magika.write_model(work / "models" / "file-types")), "--draft")


def discs(work: Path) -> Words:
    """Write the template of a segmenter."""
    return ("export", str(new_model("image", "discs", work / "models", "segmentation")), "--draft")


def doubler(work: Path) -> Words:
    """Write an archive of TorchServe with a handler of its own."""
    return ("migrate", str(write_zip(work / "doubler.mar", doubler_members())), "--out", "store")


IMPORTED: Mapping[str, Callable[[Path], Words]] = MappingProxyType(
    {
        "minilm": minilm.embedder_command,
        "cross": minilm.cross_encoder_command,
        "premises": premises.command,
        "residual": residual.command,
        "file-types": file_types,
        "credit": credit.command,
        "detector": detector.command,
        "sound-classifier": sound_classifier.command,
        "recurrent": recurrent.command,
        "old": residual.old_command,
        "discs": discs,
    }
)
COMMANDS = MappingProxyType({**IMPORTED, "doubler": doubler})


def make_archives(work: Path) -> None:
    """Fill `work` with the artefacts, and `work / "store"` with an archive of each."""
    with contextlib.chdir(work), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that read models
        for write in COMMANDS.values():
            run_command(write(work))
    shutil.rmtree(work / minilm.CROSS_ENCODER)  # 90 MB


def run_command(words: Words) -> None:
    """Run the program with these words in this process."""
    stored = words if words[0] == "migrate" else (*words, "--store", "store")
    result = CliRunner().invoke(app, [*stored, "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, (words, result.output)


def archive_of(work: Path, name: str) -> Path:
    """Return the archive of a model."""
    [path] = (work / "store").glob(f"{name}-*.mar")
    return path
