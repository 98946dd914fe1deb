"""The proof runs the class that serves: hooks of a user's own handler decide there too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from onnxserve.archive.evidence import describe_proof
from onnxserve.definition import Definition, read_definition
from onnxserve.errors import OnnxserveError
from onnxserve.scaffold import new_model
from onnxserve_export.acceptance import Basis, claim_of, form_of
from onnxserve_export.criterion import OWN
from onnxserve_export.export import export_model
from onnxserve_export.rerun import rerun
from onnxserve_export.served_class import overrides
from onnxserve_export.served_task import served_task
from onnxserve_export.steps import STEPS
from onnxserve_handlers.tasks.classification import Classification

HEAD = """
import numpy as np

from .handler import Handler
from .inputs.table import TableInput
from .tasks.classification import Classification


class Own(TableInput, Classification, Handler):
"""
QUALITY = (
    HEAD
    + """    quality_name = "worth of the answers"

    def quality(self, outputs, labels, origins=None):
        right = super().quality(outputs, labels, origins)
        return right * np.where(np.array(labels) == "inside", 1.0, WORTH)
"""
)
AGREEMENT = (
    HEAD
    + """    def agreement(self, outputs, reference):
        return np.zeros(len(next(iter(outputs.values()))))
"""
)


def with_handler(folder: Path, code: str, name: str = "Own") -> Path:
    model = new_model("table", "circle", folder)
    (model / "handler.py").write_text(code)
    toml = model / "model.toml"
    text = toml.read_text().replace("rows = ", f'handler = "handler.py:{name}"\nrows = ')
    toml.write_text(text.replace('["int8", "fp32"]', '["fp32"]'))
    return model


def definition_with(folder: Path, code: str) -> Definition:
    return read_definition(with_handler(folder, code))


def test_a_quality_of_the_handlers_own_is_what_is_certified_and_repeated(tmp_path):
    code = QUALITY.replace("WORTH", "0.25")
    state = export_model(with_handler(tmp_path / "models", code), tmp_path / "store", STEPS, lambda _: None)
    summary = state.evidence["summary"]
    assert (summary["task"], summary["claim"], summary["proof"]) == (OWN, "accuracy", "certified")
    assert 0.3 < summary["accuracy"] < 0.8  # the task's own accuracy is near 1
    assert "mean worth of the answers" in " ".join(describe_proof(summary))
    again = rerun(state.archive)
    assert again.refusal == ""
    assert again.paired.accuracy == pytest.approx(summary["accuracy"])
    assert again.paired.bound == pytest.approx(summary["bound"])


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (AGREEMENT, "disagreement with the source (share of equal labels) 100.00%"),
        (QUALITY.replace("WORTH", "2.0"), ", outside 0 to 1"),
    ],
)
def test_hooks_of_the_handlers_own_refuse_what_the_tasks_accept(tmp_path, code, message):
    model = with_handler(tmp_path / "models", code)
    toml = model / "model.toml"
    if code == AGREEMENT:  # equality with the source is all that counts
        toml.write_text(toml.read_text().replace("[quantise]\n", "[quantise]\nmax_disagreement = 0.01\n"))
    with pytest.raises(OnnxserveError) as caught:
        export_model(model, tmp_path / "store", STEPS, lambda _: None)
    assert message in str(caught.value)
    assert not list(tmp_path.glob("store/*.mar"))


def test_a_hook_is_the_users_own_wherever_its_class_has_it_from(tmp_path):
    hooks = served_task(definition_with(tmp_path / "models", QUALITY), tmp_path / "handler")
    assert (overrides(hooks, "quality"), overrides(hooks, "agreement")) == (True, False)
    assert not overrides(Classification(), "quality")
    definition = read_definition(tmp_path / "models" / "circle")
    assert form_of(definition, "accuracy", hooks) == OWN
    assert form_of(definition, "agreement", hooks) == "labels"
    assert claim_of(definition, Basis(labelled=False, hooks=hooks)) == "agreement"


@pytest.mark.parametrize("hook", ["def agreement(self, outputs, reference): ...", "agreement = Classification.quality"])
def test_a_hook_that_the_users_own_base_has_is_the_users_own_and_so_is_a_borrowed_one(tmp_path, hook):
    base = HEAD.replace("class Own(TableInput, Classification, Handler)", "class Base(Classification)")
    code = f"{base}    {hook}\n\n\nclass Own(TableInput, Base, Handler):\n    pass\n"
    hooks = served_task(definition_with(tmp_path / "models", code), tmp_path / "handler")
    assert (overrides(hooks, "agreement"), overrides(hooks, "quality")) == (True, False)


def test_a_handler_of_predictions_alone_is_judged_by_the_tasks_hooks(tmp_path):
    code = (
        HEAD.replace("TableInput, Classification, ", "")
        + "    def predictions(self, outputs, rows):\n        return []"
    )
    hooks = served_task(definition_with(tmp_path / "models", code), tmp_path / "handler")
    assert not overrides(hooks, "quality")
    assert hooks.quality_name == "accuracy"


@pytest.mark.parametrize("code", ["raise RuntimeError('no')", "class Other: pass"])
def test_a_handler_that_can_not_be_imported_is_told_by_the_check_once(tmp_path, code):
    model = with_handler(tmp_path / "models", code)
    with pytest.raises(OnnxserveError) as caught:
        export_model(model, tmp_path / "store", STEPS, lambda _: None)
    assert str(caught.value).count("the handler failed on") == 1


def test_the_same_handler_in_another_folder_is_imported_from_there(tmp_path):
    model = with_handler(tmp_path / "models", QUALITY)
    for name in ("first", "second"):
        hooks = served_task(read_definition(model), tmp_path / name)
        [package] = (tmp_path / name).glob("handlers_*")
        assert type(hooks).__mro__[1].__name__ == "Service"
        assert type(hooks).quality.__code__.co_filename.startswith(str(package))


def test_a_handler_of_the_users_own_is_opened_once_for_all_candidates(tmp_path, monkeypatch):
    """Opening may read large files, and each candidate asks the handler's hooks."""
    opened = tmp_path / "opened"
    monkeypatch.setenv("OPENED", str(opened))
    code = (
        QUALITY.replace("WORTH", "1.0")
        + """
    def open(self, folder):
        super().open(folder)
        with os.fdopen(os.open(os.environ["OPENED"], os.O_APPEND | os.O_CREAT | os.O_WRONLY), "w") as stream:
            stream.write(f"{os.getpid()}\\n")
"""
    ).replace("import numpy as np", "import os\n\nimport numpy as np")
    export_model(with_handler(tmp_path / "models", code), tmp_path / "store", STEPS, lambda _: None)
    assert opened.read_text().split().count(str(os.getpid())) == 1


def test_hooks_of_the_proof_know_the_options_of_the_rows(tmp_path):
    definition = read_definition(new_model("table", "circle", tmp_path))
    assert served_task(definition, tmp_path).signature.input == definition.input
