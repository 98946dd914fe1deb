"""Whether the words of texts are counted in the graph of a scikit-learn model as the model itself counts them.

A graph splits texts by other code than scikit-learn. Rows of a definition may lack the texts that show a difference,
so texts are made of the words that the model knows: in capitals, repeated, with other marks, letters and stop words
beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from onnxserve.errors import DefinitionError
from onnxserve.scratch import Scratch
from onnxserve_handlers.inputs.table import TableOptions
from onnxserve_handlers.inputs.table_cells import sample_cell
from onnxserve_handlers.inputs.table_columns import Column

from .arrays import Arrays
from .export_state import ExportState
from .precision import answers_differ, tensors_of
from .run import run_graph
from .sources.pipeline_columns import reads_texts
from .sources.trees import TreeSource
from .sources.vectorisers import lowered_columns, vectorisers

WORDS = 40  # of a vocabulary
SHOWN = 5
SEED = 20240229
FORMS = (
    "{}", "{0} {0}", "a {} b", "x{}y", "é{}ü", "{}\u2019s", "{}-1", "_{}_", "{}.{}", "\n{}\t", "{}\u00a0{}",
    "İ {} ς", "字{}", "{}²",
)  # fmt: skip
INNER = (" ", "  ", " a ", " the ", "-", "\n")  # between the words of a group


def check_texts(state: ExportState) -> None:
    """Raise DefinitionError if columns lack `lower`, or the graph answers texts otherwise than the model."""
    options, model = state.definition.input, state.model
    if not isinstance(options, TableOptions) or not isinstance(model, TreeSource) or state.definition.handler:
        return
    if not vectorisers(model.model) or options.tensors != "columns":
        return
    check_case(options, model.model)
    texts = list(dict.fromkeys(probes(model.model)))
    arrays = tensors_of(options, rows_of(options, texts))
    wrong = [text for text, differs in zip(texts, texts_differ(model, arrays), strict=True) if differs]
    if wrong:
        shown = ", ".join(map(repr, wrong[:SHOWN]))
        raise DefinitionError(
            f"the graph answers {len(wrong)} of {len(texts)} texts otherwise than {model.name}, such as {shown}",
            where=state.source_place,
            fix=r"fit the vectoriser with token_pattern=r'(?u)\b\w\w+\b', which is the default, and ngram_range=(1, 1)",
        )
    state.say(f"      the graph answers {len(texts)} texts as {model.name} does, made of the words that it knows")


def check_case(options: TableOptions, model: Any) -> None:
    """Raise DefinitionError for columns that the model reads in lower case, and the handler gives as they are."""
    names = lowered_columns(model)
    columns = options.typed_columns
    lowered = [column for column in columns if column.name in names or (names and reads_texts(model))]
    if lacking := [column.name for column in lowered if not column.lower]:
        raise DefinitionError(
            f"the model makes texts of column {lacking[0]!r} lower case, which the graph doesn't",
            where="input.columns",
            fix=f'write {{ name = "{lacking[0]}", type = "text", lower = true }}',
        )


def probes(model: Any) -> Iterator[str]:
    """Yield texts of words that the model's vectorisers know."""
    yield from ("", " ", "İ")
    for step in vectorisers(model):
        known = sorted(step.vocabulary_)
        words = known[:: max(1, len(known) // WORDS)]
        stop_words = sorted(step.get_stop_words() or ())[:1]
        for word in words:
            for text in (word, word.upper(), word.title()):
                yield from (form.format(text, text) for form in FORMS)
                yield from (text.replace(" ", inner) for inner in INNER)
            yield from (f"{word} {stop} {word}" for stop in stop_words)
        yield " ".join(words)


def rows_of(options: TableOptions, texts: Sequence[str]) -> list[list[Any]]:
    """Return rows of which every column of texts has the same text."""
    draws = np.random.default_rng(SEED)
    return [[_cell(column, text, draws) for column in options.typed_columns] for text in texts]


def _cell(column: Column, text: str, draws: np.random.Generator) -> Any:
    is_free = column.type == "text" and not column.categories
    return text if is_free else sample_cell(column, draws)


def texts_differ(model: TreeSource, arrays: Arrays) -> Sequence[bool]:
    """Return which rows a graph answers otherwise than its model."""
    proto, _ = model.graph(arrays, {})
    with Scratch() as scratch:
        path = scratch / "texts.onnx"
        path.write_bytes(proto.SerializeToString())
        [outputs] = run_graph(path, [arrays])
    [expected], [answers] = model.run(arrays).values(), outputs.values()
    differ: list[bool] = answers_differ(expected, answers).tolist()
    return differ
