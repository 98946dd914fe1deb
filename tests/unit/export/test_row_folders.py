"""Rows of folders: files of images and sounds, and the folders that are their classes."""

from __future__ import annotations

import msgspec
import pytest

from onnxserve.errors import DefinitionError
from onnxserve_handlers.registry import task as task_class

from .test_row_files import rows_of


def test_images_and_sounds_of_class_folders_have_its_name_as_label(text, tmp_path):
    first, second = sorted(text.labels)
    for name in (f"{first}/a.png", f"{second}/b.png", f"{second}/README.md", f"{first}/.hidden.png"):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    expected = [(f"{first}/a.png".encode(), first), (f"{second}/b.png".encode(), second)]
    assert rows_of(tmp_path / "pictures", text) == expected
    assert rows_of(tmp_path / "pictures" / "*" / "[ab].png", text) == expected
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "a.wav").write_bytes(b"RIFF")
    assert rows_of(tmp_path / "sounds", text) == [(b"RIFF", None)]


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_folders_are_no_labels_of_boxes_and_masks(text, tmp_path, task):
    (tmp_path / "pictures" / "cat").mkdir(parents=True)
    (tmp_path / "pictures" / "cat" / "a.png").write_bytes(b"")
    definition = msgspec.structs.replace(text, output=task_class(task).output_options(labels=("cat",)))
    with pytest.raises(DefinitionError, match=f"taken for labels, which {task} has none of") as refusal:
        rows_of(tmp_path / "pictures", definition)
    assert "move the files into one folder" in refusal.value.fix


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("{label}/a.png", "b.png"), "1 of 2 files lie beside the class folders, such as b.png"),
        (("{label}/a.png", "neutral/b.png"), "folders neutral are not among `labels`"),
    ],
)
def test_folders_that_are_no_classes_are_refused(text, tmp_path, names, message):
    for name in names:
        path = tmp_path / "pictures" / name.format(label=text.labels[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    with pytest.raises(DefinitionError, match=message):
        rows_of(tmp_path / "pictures", text)
