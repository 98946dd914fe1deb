"""Archives that several tests share, and the order of the files."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from onnxserve.scaffold import new_model
from tests.helpers.archive_cache import fill_once
from tests.helpers.once import create_once

# For this process and for those that tests start. Torch's threads that wait for each other beside other tests take ten
# times as long for models as small as these. Java's second compiler costs servers that live for seconds more than it
# saves.
os.environ |= {"OMP_NUM_THREADS": "1", "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1"}

# Whoever starts the tests, such as a shell in the background, may have them ignore these signals, which the processes
# that tests start would inherit.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)

# The processes of a run take files in this order, and end at about the same time if the longest ones come first.
TESTS = Path(__file__).parent
LONGEST_FIRST = (
    "contract/test_pages.py",
    "contract/test_batch_process.py",
    "contract/test_feast.py",
    "contract/test_batch_queue.py",
    "contract/test_import.py",
    "e2e/test_batch.py",
    "e2e/test_text_models.py",
    "e2e/test_commands.py",
    "e2e/test_canary.py",
    "e2e/test_file_types.py",
    "e2e/test_tuning.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the others keep their order."""
    ranks = {TESTS / name: rank for rank, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


@pytest.fixture(scope="session")
def definition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small table model, as `onnxserve new` makes it, with one worker.

    Tests end that worker, or count what it counts.
    """

    def fill(folder: Path) -> None:
        new_model("table", "circle", folder)
        with (folder / "circle" / "model.toml").open("a", encoding="utf-8") as toml:
            toml.write("workers = 1\n")  # its last section is [serve]

    return create_once(tmp_path_factory, "models", fill) / "circle"


@pytest.fixture(scope="session")
def archive(definition: Path, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path:
    """Its archive, exported once for all tests; read only."""

    def fill(folder: Path) -> None:
        fill_once(pytestconfig, "store", folder, lambda store: exported(definition, store))

    return create_once(tmp_path_factory, "store", fill) / "circle-1.0.0.mar"


@pytest.fixture(scope="session")
def next_archive(definition: Path, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path:
    """Version 2.0.0 of the same model."""

    def export_next(store: Path) -> None:
        model = store / "circle"
        shutil.copytree(definition, model, dirs_exist_ok=True)
        toml = model / "model.toml"
        toml.write_text(toml.read_text().replace('version = "1.0.0"', 'version = "2.0.0"'))
        exported(model, store)

    def fill(folder: Path) -> None:
        fill_once(pytestconfig, "next-store", folder, export_next)

    return create_once(tmp_path_factory, "next-store", fill) / "circle-2.0.0.mar"


def exported(definition: Path, store: Path) -> None:
    # Imported here, since torch takes five seconds and most files need no export.
    from onnxserve_export.export import export_model
    from onnxserve_export.steps import STEPS

    export_model(definition, store, STEPS, lambda _: None)
