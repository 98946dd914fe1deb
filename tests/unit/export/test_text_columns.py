"""Texts of a model's own words show where its graph would count otherwise, whatever rows there are."""

from types import SimpleNamespace

import msgspec
import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export import text_columns
from onnxserve_export.sources import tree_graphs
from onnxserve_export.sources.trees import TreeSource
from onnxserve_handlers.inputs.table import TableOptions

pytest.importorskip("skl2onnx")
text, pipeline, linear = (
    pytest.importorskip(f"sklearn.{name}") for name in ("feature_extraction.text", "pipeline", "linear_model")
)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

TEXTS, LABELS = ["Zürich ist schön", "a good film", "not a bad film"], [0, 1, 1]
LOWER = {"name": "review", "type": "text", "lower": True}


def state_of(column, **options):
    """What the check reads of an export's state."""
    model = TreeSource(
        pipeline.make_pipeline(text.TfidfVectorizer(**options), linear.LogisticRegression(C=50)).fit(TEXTS, LABELS)
    )
    table = msgspec.convert({"columns": [column], "tensors": "columns"}, TableOptions)
    lines: list[str] = []
    definition = SimpleNamespace(input=table, handler="")
    return SimpleNamespace(
        source_place="model.skops", definition=definition, model=model, say=lines.append, lines=lines
    )


def test_a_graph_that_counts_alike_passes_and_says_on_how_many_texts():
    state = state_of(LOWER, ngram_range=(1, 2))
    text_columns.check_texts(state)
    [line] = state.lines
    assert line.endswith("texts as scikit-learn does, made of the words that it knows")


def test_a_column_without_lower_is_named_with_the_line_to_write():
    with pytest.raises(DefinitionError, match="makes texts of column 'review' lower case") as refusal:
        text_columns.check_texts(state_of(LOWER | {"lower": False}))
    assert refusal.value.fix == 'write { name = "review", type = "text", lower = true }'


def test_texts_that_the_converters_own_pattern_splits_otherwise_are_shown(monkeypatch):
    monkeypatch.setattr(tree_graphs, "word_options", lambda _: {})
    with pytest.raises(
        DefinitionError, match=r"answers \d+ of \d+ texts otherwise than scikit-learn, such as"
    ) as refusal:
        text_columns.check_texts(state_of(LOWER))
    assert "token_pattern" in refusal.value.fix
