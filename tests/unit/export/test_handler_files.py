"""A handler of a user's own may be several files."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.handler_files import handler_files

PACKAGED = ("handler.py", "outputs.py", "inputs/__init__.py", "inputs/text.py")


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def test_modules_beside_the_handler_travel_with_those_that_they_import(tmp_path):
    write(
        tmp_path,
        handler="from .handler import Handler\nfrom .inputs.text import TextInput\nfrom .rules import RULES\n",
        rules="from . import words\nfrom .nlp.stems import stem\n",
        words="from .rules import RULES\n",
        nlp__stems="from ..outputs import Outputs\nfrom .cases import lower\nfrom ..words import WORDS\n",
        nlp__cases="",
        model="import torch",
    )
    (tmp_path / "nlp" / "__init__.py").write_text("")
    files = handler_files(tmp_path, "handler.py", PACKAGED)
    of_nlp = [f"nlp/{name}.py" for name in ("__init__", "cases", "stems")]
    assert sorted(files) == ["custom_handler.py", *of_nlp, "rules.py", "words.py"]
    assert files["rules.py"] == (tmp_path / "rules.py").read_bytes()


@pytest.mark.parametrize(
    "text",
    [
        "from .outputs import Outputs",  # the package's own, though a file of the folder has the name too
        "from .inputs.text import TextInput",
        "from .none import nothing",
        "from ..outside import secret",
        "import numpy",
        "from . import",
        "text = '\\0'\n\0",
    ],
)
def test_what_is_the_packages_own_or_nowhere_stays(tmp_path, text):
    folder = tmp_path / "model"
    folder.mkdir()
    write(folder, handler=text, outputs="", inputs__text="")
    (tmp_path / "outside.py").write_text("secret = 1")
    assert [*handler_files(folder, "handler.py", PACKAGED)] == ["custom_handler.py"]


@pytest.mark.parametrize("text", ["import rules", "from rules import RULES", "from .words import rules"])
def test_a_module_beside_it_that_an_archive_would_not_find_is_refused_with_the_line(tmp_path, text):
    write(tmp_path, handler=text, rules="", words="import rules.deep")
    with pytest.raises(DefinitionError, match=r"imports rules\.py, which lies beside it") as refused:
        handler_files(tmp_path, "handler.py", PACKAGED)
    assert refused.value.fix.endswith("from .rules import …, or from . import rules")
    assert refused.value.where.endswith(".py:1")
