"""When a certificate expires, as the library reads it that made it."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from onnxserve.monitoring.certificates import expiry, not_after
from tests.helpers.certificates import Authority


@pytest.mark.parametrize("days", [1, 400, 20_000])  # the last one is written in another form
def test_the_first_of_a_file_to_expire_counts(tmp_path, days):
    authority = Authority(tmp_path)
    path, _ = authority.sign("server", dt.timedelta(days=days))
    known = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    assert expiry(path) == known.timestamp()
    first = x509.load_pem_x509_certificate(authority.file.read_bytes()).not_valid_after_utc
    chain = tmp_path / "chain.pem"
    chain.write_bytes(path.read_bytes() + authority.file.read_bytes())
    assert expiry(chain) == min(first, known).timestamp()


def test_a_file_without_a_certificate_is_told(tmp_path):
    (tmp_path / "empty.pem").write_text("-----BEGIN NOTHING-----")
    with pytest.raises(ValueError, match="has no certificate"):
        expiry(tmp_path / "empty.pem")


@given(st.binary(max_size=200))
def test_bytes_that_are_no_certificate_are_one_kind_of_error(der):
    with pytest.raises(ValueError, match=r"X\.509|unpack|codec|match"):
        not_after(der)
