"""The list of the frontend's flaws: of the jar that is installed, as scanners read it, held to tests that are there."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile

import httpx
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import flaws
from compile_plugin import frontend_jar
from tests import ROOT


@pytest.fixture(scope="module")
def document():
    return flaws.known()


def test_the_list_is_of_the_jar_that_is_installed(document):
    assert hashlib.sha256(frontend_jar().read_bytes()).hexdigest() == document["jar"]


def test_versions_are_what_the_jar_tells(document):
    with zipfile.ZipFile(frontend_jar()) as jar:
        netty = jar.read("META-INF/io.netty.versions.properties").decode()
        depends = jar.read("META-INF/DEPENDENCIES").decode()
        groovy = jar.read("META-INF/groovy-release-info.properties").decode()
        ant = jar.read("org/apache/tools/ant/version.txt").decode()
        grpc = jar.read("io/grpc/internal/GrpcUtil.class")
    versions = document["libraries"]
    assert f"netty-codec-http.version={versions['io.netty:netty-all']}\n" in netty
    assert f"log4j-core:jar:{versions['org.apache.logging.log4j:log4j-core']}" in depends
    assert f"slf4j-api:jar:{versions['org.slf4j:slf4j-api']}" in depends
    assert f"ImplementationVersion={versions['org.codehaus.groovy:groovy']}" in groovy
    assert f"VERSION={versions['org.apache.ant:ant']}\n" in ant
    assert versions["io.grpc:grpc-netty-shaded"].encode() in grpc


def test_the_vex_is_valid_cyclonedx(document):
    vex = flaws.vex(document)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(vex)) is None
    assert len(vex["vulnerabilities"]) > 20


def test_each_flaw_says_why_or_what_is_left_and_names_tests_that_are_there(document):
    for flaw in document["flaw"]:
        assert (flaw["state"] == "not_affected") == ("justification" in flaw), flaw["ids"]
        if "test" in flaw:
            file, name = flaw["test"].split("::")
            assert f"def {name}(" in (ROOT / file).read_text(), flaw["test"]


def test_the_page_names_no_flaw_that_the_list_does_not(document):
    named = set(re.findall(r"CVE-\d{4}-\d+|GHSA(?:-\w{4}){3}", (ROOT / "docs" / "concepts" / "threats.md").read_text()))
    assert named <= {number for flaw in document["flaw"] for number in flaw["ids"]}
    assert named


def answering(document, *more):
    """OSV with one flaw of ours, under another name, and these for Netty."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/querybatch":
            queries = json.loads(request.content)["queries"]
            assert {"package": {"purl": "pkg:maven/io.netty/netty-all@4.1.53.Final"}} in queries
            vulns = [{"id": name} for name in ("GHSA-ours", *more)]
            return httpx.Response(
                200, json={"results": [{"vulns": vulns} if "netty-all" in str(q) else {} for q in queries]}
            )
        name = request.url.path.rsplit("/", 1)[1]
        return httpx.Response(
            200, json={"aliases": ["CVE-2024-29025"] if name == "GHSA-ours" else [], "summary": "bad"}
        )

    return httpx.Client(transport=httpx.MockTransport(answer), base_url=flaws.OSV)


def test_a_flaw_that_the_list_has_by_another_name_is_no_news(document):
    assert flaws.ask(document, answering(document)) == []


def test_a_flaw_that_the_list_has_not_is_told(document):
    assert flaws.ask(document, answering(document, "GHSA-new")) == ["io.netty:netty-all: GHSA-new  bad"]
