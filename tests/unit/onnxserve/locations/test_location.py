"""Locations as definitions write them."""

from __future__ import annotations

import pytest

from onnxserve.errors import SourceError
from onnxserve.locations.location import Location, is_function, is_prediction_log, parse_location

DIGEST = "a" * 64


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("rows.csv", Location("rows.csv")),
        (f"https://h/rows.csv@sha256:{DIGEST}", Location("https://h/rows.csv", DIGEST)),
        (f"hf://owner/name@main@sha256:{DIGEST}", Location("hf://owner/name@main", DIGEST)),
        (f"oci://r/m@sha256:{DIGEST}", Location("oci://r/m", DIGEST)),
    ],
)
def test_a_pin_follows_its_location(text, location):
    assert parse_location(text) == location
    assert location.pinned(DIGEST).endswith(f"@sha256:{DIGEST}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("s3://b/x@sha256:abc", "not a SHA-256: 'abc'"),
        ("https://me:secret@h/x", "must not hold a password"),
        ("oci://me:secret@registry.io/model", "must not hold a password"),
        ("s3://KEY:secret@bucket/x", "must not hold a password"),
        ("http://h/x", "anyone on the network path"),
    ],
)
def test_an_unsafe_location_is_refused_and_its_password_is_not_shown(text, message):
    with pytest.raises(SourceError, match=message) as refusal:
        parse_location(text)
    assert "secret" not in str(refusal.value)


def test_http_is_taken_with_a_pin_and_from_this_machine():
    assert parse_location(f"http://h/x@sha256:{DIGEST}").sha256 == DIGEST
    assert parse_location("http://127.0.0.1:8000/x").scheme == "http"


def test_what_a_location_shows_has_no_query_since_it_may_grant_access():
    assert parse_location("https://h/x?signature=secret").public == "https://h/x"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        (
            "https://b.s3.amazonaws.com/m?X-Amz-Algorithm=A&X-Amz-Credential=c%2F1&X-Amz-Expires=60&X-Amz-Signature=s",
            "",
        ),
        ("https://storage.googleapis.com/b/m?x-goog-signature=s&generation=3", "?generation=3"),
        ("https://a.blob.core.windows.net/c/m?sv=2024&sr=b&se=2030&sp=r&sig=s%3D&comp=block", "?comp=block"),
        ("https://b.s3.amazonaws.com/m?AWSAccessKeyId=a&Expires=1&Signature=s&versionId=7", "?versionId=7"),
        ("https://h/m?access_token=t&revision=2", "?revision=2"),
        ("https://www.googleapis.com/drive/v3/files/1?alt=media&key=AIzaSy-x", "?alt=media"),
        ("https://www.dropbox.com/scl/fi/1/m.onnx?rlkey=r&st=s&dl=1", "?dl=1"),
        ("https://h/m?id=3&t=unknown#access_token=x", "?id=3"),
        (f"https://h/m?rev={'a1' * 20}&format=onnx", f"?rev={'a1' * 20}&format=onnx"),
    ],
)
def test_a_pinned_web_address_keeps_only_what_is_known_to_name_its_file(url, kept):
    text = Location(url).pinned(DIGEST)
    assert text == f"{url.partition('?')[0]}{kept}@sha256:{DIGEST}"
    assert parse_location(text).credentials == []


@pytest.mark.parametrize(
    "url",
    [
        "https://h/m?key=AIzaSy-x",
        "https://h/m?rlkey=r",
        "https://h/m?sv=2024&sig=s",
        "https://h/m?code=c",
        "https://h/m?X-Api-Key=k",
        f"https://h/m?t={'a1B2' * 8}",
        "az://container/m?sv=2024&se=2030&sig=s",
    ],
)
def test_what_grants_access_is_known_by_its_name_or_its_look_in_every_scheme(url):
    location = Location(url)
    assert location.credentials == list(location.parameters)
    assert location.public == url.partition("?")[0]


@pytest.mark.parametrize("url", ["https://h/m?page=3&lang=en", "s3://b/part-?.csv", "s3://b/what?.csv", "rows?.csv"])
def test_what_grants_no_access_may_stand_in_a_definition(url):
    assert Location(url).credentials == []


@pytest.mark.parametrize("text", ["model.py:rows", "package.module:rows", "data/model.py:rows", "my späte/a b.py:rows"])
def test_a_function_is_told_from_a_path(text):
    assert is_function(text)


@pytest.mark.parametrize(
    "text", ["rows.csv", "s3://b/rows", "predictions:demo", "data/part-*.csv", "C:\\m.onnx", "a b:c", "a/b.pt2"]
)
def test_a_path_is_told_from_a_function(text):
    assert not is_function(text)
    assert is_prediction_log(text) == (text == "predictions:demo")
