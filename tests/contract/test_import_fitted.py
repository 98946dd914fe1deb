"""One command from a fitted model of texts, or of a table with gaps, to a proven archive that answers as the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxserve.archive import read_signature, unpack
from onnxserve.archive.offline import answers
from tests.helpers.import_command import FP32
from tests.helpers.program import run

pd = pytest.importorskip("pandas")
skops = pytest.importorskip("skops.io", reason="onnxserve[trees] is not installed")
text, pipeline, linear, compose = (
    pytest.importorskip(f"sklearn.{name}")
    for name in ("feature_extraction.text", "pipeline", "linear_model", "compose")
)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

GOOD, BAD = ["gut", "schön", "great", "l\u2019été", "хорошо"], ["schlecht", "bad", "plage", "плохо", "Ödnis"]


def reviews(count: int, seed: int) -> tuple[list[str], list[str]]:
    """Texts in several scripts and cases, and what they say."""
    draws = np.random.default_rng(seed)
    labels = draws.choice(["bad", "good"], count).tolist()
    texts = []
    for number, label in enumerate(labels):
        words = [
            *draws.choice(GOOD if label == "good" else BAD, 3),
            *draws.choice(["the", "a", "Film", "ist", "№7"], 3),
        ]
        joined = " ".join(draws.permutation(words).tolist()) + f", {number}!"
        texts.append([joined, joined.upper(), joined.title()][number % 3])
    return texts, labels


@pytest.fixture
def imported(tmp_path, monkeypatch, capsys):
    """Import a model by the command line; return what it printed, its archive's signature, and a way to ask it."""

    def call(source: str, *options: str) -> tuple[dict[str, Any], dict[str, Any], Any]:
        monkeypatch.chdir(tmp_path)
        words = ("import", source, "net", "--store", "store", "--json", *options, *FP32)
        code, out, err = run(*words, monkeypatch=monkeypatch, capsys=capsys)
        assert code == 0, err
        printed: dict[str, Any] = json.loads(out)
        unpack(Path(printed["archive"]), tmp_path / "open")

        def ask(rows: list[Any]) -> list[Any]:
            [reply] = answers(tmp_path / "open", [json.dumps({"instances": rows}).encode()])
            assert reply["status"] == 200, reply
            return list(reply["body"]["predictions"])

        return printed, read_signature(Path(printed["archive"])), ask

    return call


def check(predictions: list[Any], model: Any, rows: Any) -> None:
    scores = model.predict_proba(rows)
    best = scores.argmax(axis=1)
    assert [row["label"] for row in predictions] == [str(model.classes_[place]) for place in best]
    np.testing.assert_allclose([row["score"] for row in predictions], scores.max(axis=1), atol=1e-5)


def test_a_pipeline_of_one_text_is_proven_and_answers_as_it_does(imported, tmp_path):
    texts, labels = reviews(300, 0)
    model = pipeline.make_pipeline(text.TfidfVectorizer(ngram_range=(1, 2)), linear.LogisticRegression(C=10))
    skops.dump(model.fit(texts, labels), tmp_path / "reviews.skops")
    texts, labels = reviews(200, 1)
    pd.DataFrame({"text": texts, "label": labels}).to_csv(tmp_path / "rows.csv", index=False)
    printed, signature, ask = imported("reviews.skops", "--rows", "rows.csv")
    assert printed["proof"] == "parity"
    assert signature["input"]["columns"] == [{"name": "text", "type": "text", "lower": True}]
    texts = [*reviews(30, 2)[0], "", "ÇA ALORS", "GUT\nSCHÖN", "gut a schön"]
    check(ask([{"text": value} for value in texts]), model, texts)


def test_texts_beside_numbers_and_categories_are_proven_and_answer_as_their_pipeline(imported, tmp_path):
    preprocessing, impute = pytest.importorskip("sklearn.preprocessing"), pytest.importorskip("sklearn.impute")
    branches = [
        ("words", text.CountVectorizer(min_df=2), "review"),
        ("town", preprocessing.OneHotEncoder(handle_unknown="ignore"), ["town"]),
        ("age", pipeline.make_pipeline(impute.SimpleImputer(), preprocessing.StandardScaler()), ["age"]),
    ]
    model = pipeline.make_pipeline(compose.ColumnTransformer(branches), linear.LogisticRegression())

    def frame(count: int, seed: int) -> tuple[Any, list[str]]:
        draws, (texts, labels) = np.random.default_rng(seed), reviews(count, seed)
        ages = [None if draws.random() < 0.2 else float(age) for age in draws.integers(18, 90, count)]
        return pd.DataFrame({"review": texts, "town": draws.choice(["Bern", "Chur"], count), "age": ages}), labels

    skops.dump(model.fit(*frame(300, 0)), tmp_path / "shop.skops")
    rows, labels = frame(200, 1)
    rows.assign(label=labels).to_parquet(tmp_path / "rows.parquet")
    printed, signature, ask = imported("shop.skops", "--trust", "--rows", "rows.parquet")
    assert printed["proof"] == "parity"
    assert signature["input"]["columns"] == [
        {"name": "review", "type": "text", "lower": True},
        {"name": "town", "type": "text"},
        {"name": "age", "nullable": True},
    ]
    rows, _ = frame(30, 2)
    rows.loc[0, "town"] = "elsewhere"
    instances = json.loads(rows.to_json(orient="records"))
    assert any(row["age"] is None for row in instances)
    check(ask(instances), model, rows)


def test_stop_words_logarithms_and_columns_that_are_dropped_need_no_word_about_them(imported, tmp_path):
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    words = text.TfidfVectorizer(stop_words=["the", "a", "ist"], ngram_range=(1, 2), sublinear_tf=True, max_df=0.9)
    branches = [
        ("words", words, "review"),
        ("income", preprocessing.FunctionTransformer(np.log1p), ["income"]),
        ("none", "drop", ["note"]),
    ]
    model = pipeline.make_pipeline(compose.ColumnTransformer(branches), linear.LogisticRegression(C=10))

    def frame(count: int, seed: int) -> tuple[Any, list[str]]:
        draws, (texts, labels) = np.random.default_rng(seed), reviews(count, seed)
        columns = {
            "id": np.arange(count),
            "review": texts,
            "note": "x",
            "income": draws.lognormal(3, 1, count).round(2),
        }
        return pd.DataFrame(columns), labels

    skops.dump(model.fit(*frame(300, 0)), tmp_path / "shop.skops")
    rows, labels = frame(200, 1)
    rows.assign(label=labels).to_csv(tmp_path / "rows.csv", index=False)
    printed, signature, ask = imported("shop.skops", "--trust", "--rows", "rows.csv")
    assert printed["proof"] == "parity"
    names = [column["name"] for column in signature["input"]["columns"]]
    assert names == ["review", "income"]
    rows, _ = frame(30, 2)
    rows.loc[0, "review"] = "the GUT ist the gut, schön a"
    check(ask(json.loads(rows[names].to_json(orient="records"))), model, rows)


def test_a_table_with_gaps_needs_no_word_about_them(imported, tmp_path):
    lightgbm = pytest.importorskip("lightgbm")
    draws = np.random.default_rng(0)
    table = np.where(draws.random((500, 2)) < [0.3, 0], np.nan, draws.normal(size=(500, 2)))
    target = (np.nan_to_num(table[:, 0], nan=2) > table[:, 1]).astype(int)
    data = lightgbm.Dataset(table, target, feature_name=["visits", "returns"])
    model = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, num_boost_round=10)
    model.save_model(tmp_path / "trees.txt")
    rows = pd.DataFrame(table[:200], columns=["visits", "returns"]).assign(label=target[:200])
    rows["label"] = np.where(rows["label"], "buys", "leaves")
    rows.to_csv(tmp_path / "rows.csv", index=False)
    printed, signature, ask = imported("trees.txt", "--labels", "leaves,buys", "--rows", "rows.csv")
    assert printed["proof"] == "parity"
    assert signature["input"]["columns"] == [{"name": "visits", "nullable": True}, "returns"]
    assert "visits" in (tmp_path / "models" / "net" / "model.toml").read_text()
    predictions = ask([{"visits": None, "returns": 0.5}, [1.0, -0.5]])
    scores = model.predict(np.array([[np.nan, 0.5], [1.0, -0.5]]))
    bought = [row["score"] if row["label"] == "buys" else 1 - row["score"] for row in predictions]
    np.testing.assert_allclose(bought, scores, atol=1e-5)
