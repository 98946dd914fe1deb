"""Files over HTTP, resumed by `Range` and `If-Range` (RFC 9110, sections 14.2 and 13.1.5).

httpx takes proxies from HTTPS_PROXY and NO_PROXY, certificates from SSL_CERT_FILE; credentials are those of ~/.netrc.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

import httpx

from onnxserve.errors import SourceError

from .remote import Interrupted, Remote, RemoteFile, Restart, Stream

TIMEOUT = httpx.Timeout(60, connect=30)
BUSY = (408, 425, 429, 500, 502, 503, 504)
DENIED = (401, 403, 407)
PARTIAL, OK, OUT_OF_RANGE = 206, 200, 416
CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class WebFile(Remote):
    """One file at a URL."""

    def __init__(self, url: str, where: str) -> None:
        self._url, self._where = url, where
        self._client = client()

    def files(self) -> Sequence[RemoteFile]:
        """Return the file by the last part of the URL's path."""
        return [RemoteFile(unquote(PurePosixPath(urlsplit(self._url).path).name).replace("/", "_") or "download")]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def read(self, file: RemoteFile, offset: int) -> AbstractContextManager[Stream]:
        """Ask for the file from `offset` on, if it is still the one of `mark`."""
        return read_url(self._client, self._url, self._where, offset=offset, mark=file.mark)


def client() -> httpx.Client:
    """Make a client that follows redirects; it sends no credentials to another host than the one they are for."""
    try:
        auth: httpx.Auth | None = httpx.NetRCAuth()
    except (OSError, SyntaxError):  # there is none, or none that can be read
        auth = None
    return httpx.Client(follow_redirects=True, timeout=TIMEOUT, auth=auth)


@contextmanager
def read_url(
    http: httpx.Client, url: str, where: str, *, offset: int, mark: str, headers: Mapping[str, str] | None = None
) -> Iterator[Stream]:
    """Open a URL at an offset; SourceError, Interrupted or Restart as `Remote.read` says."""
    fields = {**(headers or {}), "Accept-Encoding": "identity"}
    if offset:
        fields["Range"] = f"bytes={offset}-"
        if mark:
            fields["If-Range"] = mark
    try:
        with http.stream("GET", url, headers=fields) as answer:
            yield _stream(answer, where, mark)
    except (httpx.TransportError, httpx.StreamError) as error:
        raise Interrupted(f"{type(error).__name__}: {error}") from error
    except (httpx.InvalidURL, httpx.TooManyRedirects) as error:
        raise SourceError(f"can't be read: {error}", where=where) from error


def _stream(answer: httpx.Response, where: str, mark: str) -> Stream:
    check_status(answer, where)
    validator = answer.headers.get("etag", "")
    if not validator or validator.startswith("W/"):  # If-Range wants a strong one
        validator = answer.headers.get("last-modified", "")
    if answer.status_code == PARTIAL:
        if not (range_ := CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))):
            raise Restart
        total = None if range_[2] == "*" else int(range_[2])
        # By If-Range the server has compared the mark, and it need not repeat it.
        return Stream(int(range_[1]), total, mark or validator, answer.iter_raw())
    length = answer.headers.get("content-length", "")
    return Stream(0, int(length) if length.isdecimal() else None, validator, answer.iter_raw())


def check_status(answer: httpx.Response, where: str) -> None:
    """Raise what an answer's status means, unless it is a success."""
    status = answer.status_code
    if status in (OK, PARTIAL):
        return
    if status == OUT_OF_RANGE:
        raise Restart
    if status in BUSY:
        raise Interrupted(f"the server answers {status} {answer.reason_phrase}")
    if status in DENIED:
        raise SourceError(
            f"the server refuses access: {status} {answer.reason_phrase}",
            where=where,
            fix="set the credentials that the server wants, as in ~/.netrc",
        )
    raise SourceError(f"the server answers {status} {answer.reason_phrase}", where=where, fix="check the address")
