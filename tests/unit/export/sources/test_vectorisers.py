"""Steps that count words: their graphs count as they do, and what no graph counts is refused by name."""

import re
import sys
import unicodedata

import numpy as np
import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.run import run_graph
from onnxserve_export.sources.trees import TreeSource
from onnxserve_export.sources.vectorisers import check_vectorisers, expression_of, lowered_columns

pytest.importorskip("skl2onnx")
text, pipeline, linear, naive_bayes, compose = (
    pytest.importorskip(f"sklearn.{name}")
    for name in ("feature_extraction.text", "pipeline", "linear_model", "naive_bayes", "compose")
)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

TEXTS = [
    "Zürich ist schön",
    "a good film, not a bad one",
    "l\u2019été à la plage",
    "не хорошо",
    "good good good_film 42nd",
]
ROWS = [
    *TEXTS,
    "", " ", "\n", "ÉTÉ", "zürich", "Zu\u0308rich", "good  film", "good\nfilm", "good a film", "good-film", "İSTANBUL",
    "good good", "bad one bad one", "x", "好 film", "ΟΔΟΣ", "good²", "#", "film#film", "goodfilm", "good\u00a0film",
    "ﬁlm film",
]  # fmt: skip
LABELS = [0, 1, 0, 1, 1]
UNKNOWN = ("Cn", "Co", "Cs")  # code points without a character


def answers_of(model, tensors, tmp_path):
    proto, _ = model.graph(tensors, {})
    (tmp_path / "graph.onnx").write_bytes(proto.SerializeToString())
    [outputs] = run_graph(tmp_path / "graph.onnx", [tensors])
    return outputs["scores"]


def lowered(texts):
    return np.array([[words.lower()] for words in texts])


@pytest.mark.parametrize("name", ["TfidfVectorizer", "CountVectorizer"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ngram_range": (1, 2)},
        {"ngram_range": (2, 3)},
        {"stop_words": ["not", "is"]},
        {"binary": True},
        {"token_pattern": r"\w+"},
        {"token_pattern": r"(?u)\b\w{3,}\b"},
        {"token_pattern": r"\S+"},
        {"token_pattern": "[a-zü]+"},
        {"token_pattern": "[a-z]{2,4}[a-z]?"},
        {"token_pattern": r"[^ ,\n]+"},
        {"max_features": 5},
    ],
)
def test_a_graph_counts_words_as_its_model_does_in_any_script(name, options, tmp_path):
    fitted = pipeline.make_pipeline(getattr(text, name)(**options), linear.LogisticRegression(C=100)).fit(TEXTS, LABELS)
    model, tensors = TreeSource(fitted), {"text": lowered(ROWS)}
    expected = fitted.predict_proba(ROWS)
    np.testing.assert_allclose(model.run(tensors)["scores"], expected)
    np.testing.assert_allclose(answers_of(model, tensors, tmp_path), expected, atol=1e-5)
    alone = {"text": lowered([""])}  # a batch without a word
    np.testing.assert_allclose(answers_of(model, alone, tmp_path), fitted.predict_proba([""]), atol=1e-5)


@pytest.mark.parametrize("pattern", [r"(?u)\b\w\w+\b", r"\S+"])
def test_every_character_that_python_knows_is_part_of_a_word_or_isnt_in_the_graph_too(pattern, tmp_path):
    vectoriser = text.CountVectorizer(lowercase=False, token_pattern=pattern)
    fitted = pipeline.make_pipeline(vectoriser, linear.LogisticRegression(C=100)).fit(["ab", "cd"], [0, 1])
    known = [chr(code) for code in range(1, sys.maxunicode + 1) if unicodedata.category(chr(code)) not in UNKNOWN]
    tensors = {"text": np.array([[f"ab{character}"] for character in known])}
    model = TreeSource(fitted)
    np.testing.assert_allclose(answers_of(model, tensors, tmp_path), model.run(tensors)["scores"], atol=1e-5)


def test_texts_and_numbers_of_one_frame_and_two_vectorisers_of_a_column_become_a_graph(tmp_path):
    pd = pytest.importorskip("pandas")
    union = pipeline.make_union(text.TfidfVectorizer(), text.CountVectorizer(ngram_range=(2, 2)))
    branches = [
        ("words", union, "review"),
        ("title", text.CountVectorizer(), "title"),
        ("kept", "passthrough", ["age"]),
    ]
    frame = pd.DataFrame({"review": TEXTS, "title": TEXTS[::-1], "age": np.arange(5.0)})
    fitted = pipeline.make_pipeline(compose.ColumnTransformer(branches), linear.LogisticRegression()).fit(frame, LABELS)
    assert lowered_columns(fitted) == {"review", "title"}
    rows = pd.DataFrame({"review": ROWS, "title": ROWS[::-1], "age": np.linspace(-1, 1, len(ROWS))})
    tensors = {"review": lowered(rows["review"]), "title": lowered(rows["title"])}
    tensors["age"] = rows[["age"]].to_numpy(np.float32)
    model = TreeSource(fitted)
    np.testing.assert_allclose(answers_of(model, tensors, tmp_path), fitted.predict_proba(rows), atol=1e-5)


def test_a_search_of_parameters_is_its_best_model():
    selection = pytest.importorskip("sklearn.model_selection")
    words = pipeline.make_pipeline(text.TfidfVectorizer(), linear.LogisticRegression())
    grid = selection.GridSearchCV(words, {"logisticregression__C": [1, 10]}, cv=2).fit(TEXTS * 2, LABELS * 2)
    model = TreeSource(grid)
    assert model.model is grid.best_estimator_
    np.testing.assert_allclose(model.run({"text": lowered(ROWS)})["scores"], grid.predict_proba(ROWS))


def test_words_in_their_own_case_stay_so(tmp_path):
    vectoriser = text.TfidfVectorizer(lowercase=False)
    fitted = pipeline.make_pipeline(vectoriser, text.TfidfTransformer(), naive_bayes.MultinomialNB()).fit(TEXTS, LABELS)
    assert lowered_columns(fitted) == frozenset()
    tensors = {"text": np.array(ROWS)[:, None]}
    np.testing.assert_allclose(answers_of(TreeSource(fitted), tensors, tmp_path), fitted.predict_proba(ROWS), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "cause", "fix"),
    [
        ("HashingVectorizer", {}, "HashingVectorizer has no vocabulary", "TfidfVectorizer"),
        ("TfidfVectorizer", {"strip_accents": "unicode"}, "strips accents", "without strip_accents"),
        ("CountVectorizer", {"analyzer": "char_wb"}, r"analyzer='char_wb'", "analyzer='word'"),
        ("CountVectorizer", {"tokenizer": str.split}, "a tokenizer of your own", "without tokenizer"),
        ("CountVectorizer", {"token_pattern": r"\b[a-z]{3,}\b"}, "which RE2 reads otherwise", r"the default"),
        ("CountVectorizer", {"token_pattern": r"(\w+)"}, "which RE2 reads otherwise", r"the default"),
        ("CountVectorizer", {"token_pattern": "[a-z ]+", "ngram_range": (2, 2)}, "hold spaces", r"no space matches"),
        ("TfidfVectorizer", {"token_pattern": "[a-z ]+", "ngram_range": (1, 2)}, "hold spaces", r"no space matches"),
    ],
)
def test_what_no_graph_counts_alike_is_refused_with_the_cause_and_a_way_out(name, options, cause, fix):
    vectoriser = getattr(text, name)(**options)
    fitted = pipeline.make_pipeline(vectoriser, linear.LogisticRegression()).fit(TEXTS, LABELS)
    with pytest.raises(DefinitionError, match=cause) as refusal:
        TreeSource(fitted)
    assert re.search(fix, refusal.value.fix)


def test_a_column_in_two_cases_is_refused():
    union = pipeline.make_union(text.TfidfVectorizer(), text.CountVectorizer(lowercase=False))
    fitted = pipeline.make_pipeline(union, linear.LogisticRegression()).fit(TEXTS, LABELS)
    with pytest.raises(DefinitionError, match="don't agree whether it becomes lower case"):
        TreeSource(fitted)


def test_all_causes_are_told_at_once():
    vectoriser = text.TfidfVectorizer(strip_accents="ascii", tokenizer=str.split)
    fitted = pipeline.make_pipeline(vectoriser, linear.LogisticRegression()).fit(TEXTS, LABELS)
    with pytest.raises(DefinitionError, match=r"a tokenizer of your own(.|\n)*strips accents"):
        TreeSource(fitted)


def member():
    return pipeline.make_pipeline(text.TfidfVectorizer(), linear.LogisticRegression())


@pytest.mark.parametrize(
    ("module", "name", "holder"),
    [
        ("ensemble", "StackingClassifier", lambda cls: cls([("words", member())], cv=2)),
        ("calibration", "CalibratedClassifierCV", lambda cls: cls(member(), cv=2)),
        ("multiclass", "OneVsRestClassifier", lambda cls: cls(member())),
    ],
)
def test_texts_that_members_of_a_model_read_are_refused_with_the_order_that_is_taken(module, name, holder):
    fitted = holder(getattr(pytest.importorskip(f"sklearn.{module}"), name)).fit(TEXTS * 2, LABELS * 2)
    with pytest.raises(DefinitionError, match=f"members of {name} read texts \\(TfidfVectorizer\\)") as refusal:
        TreeSource(fitted)
    assert refusal.value.fix.splitlines()[0].endswith(f"make_pipeline(TfidfVectorizer(), {name}(…))")


def test_a_model_given_a_number_in_place_of_a_text_is_told():
    fitted = pipeline.make_pipeline(text.CountVectorizer(), linear.LogisticRegression()).fit(TEXTS, LABELS)
    with pytest.raises(DefinitionError, match="the model takes texts"):
        TreeSource(fitted).run({"features": np.zeros((2, 1), np.float32)})


@pytest.mark.parametrize(
    ("pattern", "expression"),
    [
        (r"(?u)\b\w\w+\b", r"[\p{L}\p{N}_]{2,}"),
        (r"\w+", r"[\p{L}\p{N}_]{1,}"),
        (r"\b\w{4,}\b", r"[\p{L}\p{N}_]{4,}"),
        (r"[a-z]+\.?", r"[a-z]+\.?"),
        (r"\d+", ""),
        (r"(?i)[a-z]+", ""),
        (r"[a-z]+(?=x)", ""),
        (r"[^,;\n]{2,}", r"[^,;\n]{2,}"),
        (r"[a-z+?|]+#?", r"[a-z+?|]+#?"),
        (r"good|good_film", ""),
        (r"[a-z]+?", ""),
        (r"[a-z]++", ""),
        (r"[a-z]{,3}", ""),
        (r"[a-z]*", ""),
        (r"^[a-z]+", ""),
        (r"[[:alpha:]]+", ""),
    ],
)
def test_a_pattern_of_python_is_written_for_re2_or_not_at_all(pattern, expression):
    assert expression_of(pattern) == expression


def test_groups_of_a_given_vocabulary_that_are_never_counted_are_refused_by_name():
    text = pytest.importorskip("sklearn.feature_extraction.text")
    linear, pipeline = pytest.importorskip("sklearn.linear_model"), pytest.importorskip("sklearn.pipeline")
    for vocabulary, sizes, strange in (
        (["good", "very good"], (1, 1), "very good"),
        (["bad", "so bad"], (2, 2), "bad"),
    ):
        step = text.CountVectorizer(vocabulary=vocabulary, ngram_range=sizes)
        model = pipeline.make_pipeline(step, linear.LogisticRegression()).fit(["very good", "so bad"], [1, 0])
        with pytest.raises(DefinitionError, match=f"never counts '{strange}'"):
            check_vectorisers(model)
