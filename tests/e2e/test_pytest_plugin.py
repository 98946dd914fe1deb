"""The fixture that starts servers for tests, as a project that has onnxserve installed gets it."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.filterwarnings("default")  # of pytester's own

OTHERS = [word for name in ("schemathesis", "locust", "faker", "anyio") for word in ("-p", f"no:{name}")]
TESTS = """
import pytest
from onnxserve import Archive
from onnxserve.errors import ServerError

seen = []


def test_a_model_answers(served):
    server = served({archive!r})
    seen.append(server)
    assert server.predict("circle", [[0.0, 0.1]])[0]["label"] == "inside"


def test_tests_share_a_server(served):
    assert served(Archive({archive!r})) is seen[0]


def test_no_archive_is_an_error_of_the_test_that_asks(served):
    with pytest.raises(ServerError, match="no archive"):
        served()


@pytest.fixture(scope="session", autouse=True)
def ended_last(request):
    yield
    with open("closed.txt", "w") as stream:
        stream.write(repr(seen[0]))
"""


def test_tests_of_a_project_ask_a_server_that_ends_with_them(pytester, archive):
    pytester.makepyfile(TESTS.format(archive=str(archive)))
    result = pytester.runpytest_subprocess(*OTHERS)
    result.assert_outcomes(passed=3)
    assert "closed" in (pytester.path / "closed.txt").read_text()


def test_the_fixture_is_listed_with_what_it_does(pytester):
    pytester.makepyfile("def test_nothing(): pass")
    result = pytester.runpytest_subprocess("--fixtures", *OTHERS)
    result.stdout.fnmatch_lines(["served [[]session scope[]]*", "*Serve archives: *"])
