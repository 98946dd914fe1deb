"""Rules for the whole tree: short files, no import circles, no duplicated code, no imports by string."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from onnxserve_handlers.registry import KINDS, TASKS
from tests import ROOT

PACKAGES = {
    "onnxserve": ROOT / "onnxserve",
    "onnxserve_handlers": ROOT / "handlers" / "onnxserve_handlers",
    "onnxserve_export": ROOT / "export" / "onnxserve_export",
    "fastworker": ROOT / "torchserve" / "worker" / "ts" / "fastworker",
    "benchmarks": ROOT / "benchmarks",
}
UNIT = ROOT / "tests" / "unit"
PROJECT = "project"  # a folder of tests/unit for what holds in the whole tree
MIRRORED = {
    "onnxserve": PACKAGES["onnxserve"],
    "handlers": PACKAGES["onnxserve_handlers"],
    "export": PACKAGES["onnxserve_export"],
    "worker": PACKAGES["fastworker"],
    "benchmarks": PACKAGES["benchmarks"],
    "batching_plugin": ROOT / "torchserve" / "batching-plugin",
}
ELSEWHERE = {"servers", "scorers"}  # of benchmarks: they run in the environments of other servers
SAME = 6  # lines
LAZY = {"onnxserve/__init__.py"}  # the names of the Python API, so that `import onnxserve` stays cheap
# What is loaded by a name that is only known at run time: an archive's handlers, a user's code, TorchServe's classes,
# and libraries of extras; and our own public names, which are imported at their first use.
BY_NAME = {
    "benchmarks/watching.py",
    "export/onnxserve_export/early_imports.py",
    "export/onnxserve_export/served_class.py",
    "export/onnxserve_export/user_code.py",
    "handlers/onnxserve_handlers/composition.py",
    "onnxserve/api/predictor.py",
    "onnxserve/archive/library.py",
    "onnxserve/batch/scorer.py",
    "onnxserve/convert/files/asgi_server.py",
    "onnxserve/convert/files/triton_model.py",
    "torchserve/worker/ts/fastworker/loader.py",
}


def sources(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*.py")) if not ELSEWHERE & set(path.parts))


def modules(package: str) -> dict[str, Path]:
    folder = PACKAGES[package]
    return {
        ".".join((package, *path.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__"): path
        for path in sources(folder)
    }


def imported(module: str, path: Path, known: dict[str, Path]) -> set[str]:
    """Return the modules of the same package that a module imports, also for types alone or within a function."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            parent = ".".join([*base, *([node.module] if node.module else [])])
            modules |= {name if (name := f"{parent}.{alias.name}") in known else parent for alias in node.names}
    return (modules & known.keys()) - {module}


@pytest.mark.parametrize("package", ["onnxserve", "onnxserve_handlers", "onnxserve_export", "fastworker"])
def test_no_module_imports_itself_by_way_of_others_not_even_for_its_types(package):
    known = modules(package)
    assert len(known) > 10
    try:
        TopologicalSorter({module: imported(module, path, known) for module, path in known.items()}).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_no_file_is_longer_than_a_reader_keeps_in_mind():
    folders = [*PACKAGES.values(), ROOT / "tests", ROOT / "models", ROOT / "loadtests"]
    lengths = {path: len(path.read_text().splitlines()) for folder in folders for path in sources(folder)}
    assert len(lengths) > 400
    assert {path.relative_to(ROOT).as_posix(): lines for path, lines in lengths.items() if lines > 300} == {}


def code_lines(path: Path) -> list[str]:
    """Return the lines of code, without imports, comments and brackets."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    return [line for line in lines if len(line) > 2 and not line.startswith(("#", "import ", "from ", '"""'))]


def test_nothing_stands_in_two_packages():
    places = defaultdict[str, set[str]](set)
    for package, folder in PACKAGES.items():
        for path in sources(folder):
            lines = code_lines(path)
            for start in range(len(lines) - SAME + 1):
                places["\n".join(lines[start : start + SAME])].add(package)
    assert len(places) > 10_000
    assert [text for text, packages in places.items() if len(packages) > 1] == []


def test_modules_are_imported_by_string_only_where_their_names_are_not_ours_or_come_late():
    imports = {
        path.relative_to(ROOT).as_posix()
        for folder in PACKAGES.values()
        for path in sources(folder)
        if "import_module(" in path.read_text()
    }
    assert imports == BY_NAME | LAZY


def test_the_handlers_are_few_enough_to_know():
    package = PACKAGES["onnxserve_handlers"]
    files = [path for path in package.rglob("*.py") if path.name != "__init__.py"]
    rows = [path.stem for path in files if path.parent == package / "inputs"]
    tasks = [path.stem for path in files if path.parent == package / "tasks"]
    # A part of a large kind lies beside it, under the kind's name and its own: image_decoding.py.
    assert {name.partition("_")[0] for name in rows} == set(KINDS)
    assert {name.partition("_")[0] for name in tasks} == set(TASKS)
    assert len(files) - len(rows) - len(tasks) <= 33  # docs/decisions/0020-kinds-and-tasks.md


def test_each_unit_test_is_named_after_the_module_or_package_that_it_tests():
    """`tests/unit/<root>/<folder>/test_<module>.py`; an aspect may follow the module's name."""
    strays = [path.relative_to(ROOT) for path in sorted(UNIT.rglob("test_*.py")) if not is_mirrored(path)]
    assert [str(path) for path in strays] == []


def is_mirrored(path: Path) -> bool:
    *folders, name = path.relative_to(UNIT).with_suffix("").parts
    if folders[:1] == [PROJECT]:
        return True
    base = MIRRORED[folders[0]].joinpath(*folders[1:]) if folders else ROOT
    words = name.removeprefix("test_").split("_")
    names = ["_".join(words[: count + 1]) for count in range(len(words))]
    return any((base / name).is_dir() or (base / f"{name}.py").is_file() for name in names)
