"""Everything that is wrong is told at once, with its true cause, before the long steps."""

import re
from pathlib import Path

import pytest
from PIL import Image

from onnxserve.errors import OnnxserveError, StepFailed
from onnxserve.scaffold import new_model
from onnxserve_export import check
from onnxserve_export.export import export_model
from onnxserve_export.faults import MOST, FaultList
from onnxserve_export.options import ExportOptions
from onnxserve_export.steps import STEPS

LONGER = """

def rows():
    return [(" ".join([text] * (index % 3 + 1)), label) for index, (text, label) in enumerate(short())]
"""
FORWARD = "logits: torch.Tensor = self.layers(features)"


@pytest.fixture
def circle(tmp_path) -> Path:
    model = new_model("table", "circle", tmp_path / "models")
    code = model / "model.py"
    text = code.read_text().replace("range(2000)", "range(60)")
    code.write_text(
        re.sub(r"(?s)def load\(.*", "def load() -> nn.Module:\n    model = Circle()\n    return model\n", text)
    )
    return model


def change(model: Path, name: str, old: str, new: str) -> None:
    path = model / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def failure(model: Path, store: Path) -> str:
    """What the export says; it ends at the step `check` or before."""
    upto = STEPS[: [step.name for step in STEPS].index("check") + 1]
    with pytest.raises(OnnxserveError) as caught:
        export_model(model, store, upto, lambda _: None, options=ExportOptions())
    return str(caught.value)


def test_faults_of_rows_golden_rows_and_module_are_told_together(circle, tmp_path):
    change(circle, "model.py", "def rows()", "def good()")
    (circle / "model.py").write_text(
        (circle / "model.py").read_text()
        + "\n\ndef rows():\n    yield from good()\n    yield [1.0], 'inside'\n    yield [2.0], 'inside'\n"
        + "    yield [0.1, 0.2], 'elsewhere'\n"
    )
    (circle / "golden.jsonl").write_text('{"input": [0, 0]}\n{"inputs": 1}\n{"input": "x"}\n')
    change(circle, "model.py", "Linear(32, 2)", "Linear(32, 3)")
    text = failure(circle, tmp_path / "store")
    assert text.startswith("5 things are wrong:")
    for what in (
        "not a golden row",
        "1 row has the label 'elsewhere', not among `labels`",
        "the handler refuses 2 rows: 1 values, 2 are expected; the first is [",
        "the handler refuses 1 golden row: expected a list or an object, got a string",
        "(3,) outputs a row for 2 labels",
    ):
        assert what in text
    assert text.count("where:") == 5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "def forward(self, features: torch.Tensor)",
            "def forward(self, features: torch.Tensor, mask: torch.Tensor)",
            "the model wants ['mask'], which the handler doesn't give",
        ),
        (FORWARD, FORWARD + " + torch.rand_like(features).sum() * 1e-3", "the module draws random numbers"),
        (
            FORWARD,
            "self.calls = getattr(self, 'calls', 0) + 1\n        " + FORWARD + " * self.calls",
            "each call changes the module's state, calls",
        ),
        (
            FORWARD,
            FORWARD + ".reshape(7, 1)",
            "the module fails on batches such as features float32 [2, 2]: RuntimeError",
        ),
        (FORWARD, "self.double()\n        " + FORWARD, "return module.float()"),
    ],
)
def test_the_true_cause_of_a_modules_fault_is_told(circle, tmp_path, old, new, message):
    change(circle, "model.py", old, new)
    assert message in failure(circle, tmp_path / "store")


def test_an_axis_that_varies_without_being_declared_is_told_with_the_declaration(tmp_path):
    model = new_model("text", "words", tmp_path / "models")
    (model / "handler.py").write_text(
        "from .inputs.text import TextClassifier\n\n\nclass Mine(TextClassifier):\n    dynamic_axes = {}\n"
    )
    change(model, "model.toml", "rows = ", 'handler = "handler.py:Mine"\nrows = ')
    code = model / "model.py"
    code.write_text(code.read_text().replace("def rows()", "def short()") + LONGER)
    text = failure(model, tmp_path / "store")
    assert "axis 1 of input_ids is" in text
    assert 'dynamic_axes = {"input_ids": {1: "length"}}' in text
    assert "attention_mask" in text


def test_a_handler_of_the_users_own_that_raises_is_told_with_its_exception(circle, tmp_path):
    (circle / "handler.py").write_text(
        "from .inputs.table import TabularClassifier\n\n\nclass Mine(TabularClassifier):\n"
        "    def check(self, instance, where):\n        return {}['missing']\n"
    )
    change(circle, "model.toml", "rows = ", 'handler = "handler.py:Mine"\nrows = ')
    assert "refuses 60 rows: KeyError: 'missing'" in failure(circle, tmp_path / "store")


def test_rows_that_are_no_pairs_are_told(circle, tmp_path):
    (circle / "model.py").write_text((circle / "model.py").read_text() + "\n\ndef rows():\n    return [1.0, 2.0]\n")
    assert "a row is float, no pair of input and label" in failure(circle, tmp_path / "store")


def test_a_loader_that_fails_does_not_hide_what_is_wrong_with_the_rows(circle, tmp_path):
    change(circle, "model.py", "model = Circle()", "model = Circle(3)")
    (circle / "golden.jsonl").write_text('{"input": [0, 0, 0]}\n')
    text = failure(circle, tmp_path / "store")
    assert "step load failed: TypeError" in text
    assert "the handler refuses 1 golden row: 3 values, 2 are expected" in text


def test_one_fault_keeps_its_kind_and_many_are_counted():
    faults = FaultList()
    faults.check()
    assert not faults
    faults.add(OnnxserveError("a", where="there", fix="so"))
    faults.add(OnnxserveError("a", where="there", fix="so"))
    with pytest.raises(OnnxserveError, match="a"):
        faults.check()
    for number in range(30):
        faults.add(OnnxserveError(f"fault {number}"))
    with pytest.raises(StepFailed, match=f"31 things are wrong, the first {MOST} are:") as caught:
        faults.check()
    assert str(caught.value).count("fault ") == MOST - 1
    assert "     where: there" in str(caught.value)


def test_openvino_that_is_not_installed_is_told_before_the_proof(circle, tmp_path, monkeypatch):
    monkeypatch.setattr(check, "has_openvino", lambda: False)
    change(circle, "model.toml", "[serve]", '[serve]\nprovider = "openvino"')
    text = failure(circle, tmp_path / "store")
    assert "OpenVINO isn't installed" in text
    assert "put onnxruntime-openvino in the place of onnxruntime" in text


def test_a_picture_that_cannot_be_read_is_named_by_its_file(tmp_path):
    model, pictures = new_model("image", "shapes", tmp_path / "models"), tmp_path / "pictures"
    pictures.mkdir()
    for number in range(4):
        Image.new("L", (20, 20 + number)).save(pictures / f"{number}.png")
    (pictures / "broken one.png").write_bytes(b"\x89PNG")
    change(model, "model.toml", 'rows = "model.py:rows"', f'rows = "{pictures}"')
    code = model / "model.py"
    code.write_text(re.sub(r"(?s)def load\(.*", "def load():\n    return nn.Flatten()\n", code.read_text()))
    assert f"the first is {pictures / 'broken one.png'}" in failure(model, tmp_path / "store")


def test_a_module_of_a_library_that_fails_is_named_by_the_definition_and_not_by_a_file_of_ours(circle, tmp_path):
    code = circle / "model.py"
    code.write_text(re.sub(r"(?s)def load\(.*", "def load():\n    return nn.Linear(5, 2)\n", code.read_text()))
    text = failure(circle, tmp_path / "store")
    assert "the module fails on batches such as features float32 [2, 2]" in text
    assert "where: model.py:load" in text
