"""The table of the README."""

import pytest

from benchmarks import ROOT
from benchmarks.arguments import MODELS
from benchmarks.readme import BEGIN, END, into_readme, readme_table, unmeasured
from benchmarks.rounds import Results
from tests.helpers.measurements import measurement


def test_the_readme_has_one_row_a_model_with_the_default_path_first_and_the_fastest_rival_by_name():
    runs = [measurement("default", 1000, p50=3), measurement("default", 50, 1, p50=0.7), measurement("fastapi", 300)]
    runs += [measurement("fastapi", 9, 1, p50=0.4)]
    runs += [
        measurement("mosec", 2000, round_=0),
        measurement("mosec", 2200, round_=1),
        measurement("cache", 9000),
        measurement("nginx", 99000),
    ]
    lines = readme_table(Results({}, runs), ["segment", "digits"])
    assert len(lines) == 4
    assert lines[2] == "| `segment` | 1,000 [1,000-1,000] | mosec 2,100 [2,000-2,200] | 300 [300-300] | 0.70; 0.40 |"
    assert lines[3] == "| `digits` | - | - | - | -; - |"
    assert unmeasured(Results({}, runs), ["segment", "digits"]) == ["digits"]
    failed = Results({}, runs, failures={"segment": {"mosec": "ended"}})
    assert "mosec" not in readme_table(failed, ["segment"])[2]


def test_the_table_goes_between_the_marks_of_a_readme(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"# X\n{BEGIN}\nold\n{END}\nrest\n", encoding="utf-8")
    results = Results({}, [measurement("default", 1000), measurement("mosec", 500)])
    into_readme(readme, results, ["segment"])
    text = readme.read_text(encoding="utf-8")
    assert "old" not in text
    assert "| mosec 500 [500-500] |" in text
    assert text.startswith("# X\n")
    assert text.endswith(f"{END}\nrest\n")
    readme.write_text("# X\n", encoding="utf-8")
    with pytest.raises(ValueError, match="has no"):
        into_readme(readme, results, ["segment"])


def test_the_readme_of_the_project_has_marks_and_three_rows():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.partition(BEGIN)[2].partition(END)[0].strip().splitlines()
    assert [line.split("|")[1].strip() for line in table[2:]] == [f"`{model}`" for model in MODELS]
