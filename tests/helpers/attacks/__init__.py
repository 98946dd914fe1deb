"""All that a hostile client sends, on every input kind."""

from __future__ import annotations

from tests.helpers.attacks.files import images, sounds
from tests.helpers.attacks.forms import forms, tensors
from tests.helpers.attacks.rows import arrays, every_kind, tables, texts

KINDS_TASKS = ("classification", "tokens", "rerank", "segmentation", "multilabel", "regression", "raw")
ATTACKS = [
    *(attack for task in KINDS_TASKS for attack in every_kind(task)),
    *images(),
    *sounds(),
    *texts(),
    *tables(),
    *arrays(),
    *forms(),
    *tensors(),
]
