"""Groups of words, stop words and logarithms of counts: graphs count them as their models do."""

import numpy as np
import pytest

from onnxserve_export.sources.trees import TreeSource
from tests.unit.export.sources.test_vectorisers import LABELS, ROWS, TEXTS, answers_of, lowered

pytest.importorskip("skl2onnx")
text, pipeline, linear = (
    pytest.importorskip(f"sklearn.{name}") for name in ("feature_extraction.text", "pipeline", "linear_model")
)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

STOP_WORDS = {"stop_words": ["not", "is", "bad", "the"]}
MORE = [
    *ROWS, "not", "not is bad", "good not film", "good bad is film", "not good film", "good film not",
    "# good # film", "good # film", "film not # good", "good good film film", "not bad # is the",
]  # fmt: skip
ALONE = ["", "not", "good not film"]


@pytest.mark.parametrize("name", ["TfidfVectorizer", "CountVectorizer"])
@pytest.mark.parametrize(
    "options",
    [
        STOP_WORDS | {"ngram_range": (1, 2)},
        STOP_WORDS | {"ngram_range": (2, 3)},
        STOP_WORDS | {"ngram_range": (1, 2), "token_pattern": r"\S+"},
        STOP_WORDS | {"ngram_range": (1, 3), "binary": True},
        STOP_WORDS | {"vocabulary": ["good", "not", "film"]},
        {"stop_words": "english", "ngram_range": (1, 2)},
        {"ngram_range": (1, 2), "token_pattern": r"\S+"},
        {"ngram_range": (1, 2), "vocabulary": ["good film", "not a", "film"]},
        {"ngram_range": (1, 3), "vocabulary": ["good film", "a bad"]},
        {"ngram_range": (1, 3), "vocabulary": ["good", "not a bad"]},
        {"ngram_range": (1, 2), "max_df": 1},
        {"ngram_range": (1, 2), "max_features": 6},
    ],
)
def test_groups_of_words_are_counted_without_stop_words_and_of_words_that_the_vocabulary_lacks(name, options, tmp_path):
    check(pipeline.make_pipeline(getattr(text, name)(**options), linear.LogisticRegression(C=100)), tmp_path)


@pytest.mark.parametrize("norm", ["l1", "l2", None])
@pytest.mark.parametrize("use_idf", [True, False])
def test_the_logarithm_of_counts_is_taken_of_those_above_zero(norm, use_idf, tmp_path):
    options = {"sublinear_tf": True, "norm": norm, "use_idf": use_idf}
    vectoriser = text.TfidfVectorizer(**options, ngram_range=(1, 2))
    check(pipeline.make_pipeline(vectoriser, linear.LogisticRegression(C=100)), tmp_path)
    steps = text.CountVectorizer(), text.TfidfTransformer(**options), linear.LogisticRegression(C=100)
    check(pipeline.make_pipeline(*steps), tmp_path)


def test_two_vectorisers_of_a_union_keep_their_own_stop_words(tmp_path):
    union = pipeline.make_union(
        text.TfidfVectorizer(**STOP_WORDS, ngram_range=(1, 2), sublinear_tf=True),
        text.CountVectorizer(stop_words=["good"], ngram_range=(2, 2)),
    )
    check(pipeline.make_pipeline(union, linear.LogisticRegression(C=100)), tmp_path)


def test_members_of_a_vote_read_the_texts_themselves(tmp_path):
    ensemble, bayes = pytest.importorskip("sklearn.ensemble"), pytest.importorskip("sklearn.naive_bayes")
    members = [
        ("words", pipeline.make_pipeline(text.TfidfVectorizer(sublinear_tf=True), linear.LogisticRegression(C=100))),
        ("pairs", pipeline.make_pipeline(text.CountVectorizer(ngram_range=(1, 2)), bayes.MultinomialNB())),
    ]
    check(ensemble.VotingClassifier(members, voting="soft", weights=[2, 1]), tmp_path)


def check(model, tmp_path):
    """Check a model of texts against its graph, on many rows together and on each alone."""
    fitted = model.fit(TEXTS, LABELS)
    expected = fitted.predict_proba(MORE)
    source, tensors = TreeSource(fitted), {"text": lowered(MORE)}
    np.testing.assert_allclose(answers_of(source, tensors, tmp_path), expected, atol=1e-5)
    for row, answer in zip(ALONE, fitted.predict_proba(ALONE), strict=True):
        np.testing.assert_allclose(answers_of(source, {"text": lowered([row])}, tmp_path), [answer], atol=1e-5)
    np.testing.assert_allclose(fitted.predict_proba(MORE), expected)  # the model itself didn't change
