"""A location: the path or URL of a model, of rows or of other files, and the SHA-256 that pins it."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote_plus, urlsplit, urlunsplit

from onnxserve.errors import SourceError

MARK = "@sha256:"
DIGEST = re.compile(r"[0-9a-f]{64}")
FUNCTION = re.compile(r"(?:[\w./-]+\.py|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):[A-Za-z_]\w*")
PREDICTIONS = "predictions:"
# Parameters of signed URLs: of S3 and what speaks its protocol, Google's and Azure's stores, CloudFront, and tokens.
SIGNATURE = re.compile(r"X-(Amz|Goog)-Signature|Signature|sig", re.IGNORECASE)
SECRET = re.compile(
    r"X-(Amz|Goog)-.*|Signature|sig|AWSAccessKeyId|GoogleAccessId|"
    r"((access|auth|private|download)[-_]?)?token|api[-_]?key|password|secret",
    re.IGNORECASE,
)
# Parameters that are of a signature where there is one, and may mean anything else without.
COMPANION = re.compile(r"Expires|Key-Pair-Id|Policy|s[eiprstv]|spr|srt|sip|sdd|sk(e|s|t|v|oid|tid)", re.IGNORECASE)
PASSWORDS = "leave it out: the registry's or the store's own login or environment variables are used"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Location(NamedTuple):
    """Where something is; `sha256` is its pin, empty without one."""

    url: str
    sha256: str = ""

    @property
    def scheme(self) -> str:
        """The URL's scheme, empty for a path of this machine."""
        scheme, mark, _ = self.url.partition("://")
        return "" if not mark or scheme == "file" else scheme.lower()

    @property
    def public(self) -> str:
        """The URL without its query, which may hold a signature that grants access."""
        return self.url.partition("?")[0] if self.scheme in ("http", "https") else self.url

    @property
    def credentials(self) -> list[str]:
        """The names of the query's parameters that grant access, as a signed URL of an object store has them."""
        if self.scheme not in ("http", "https"):
            return []
        names = [name for name, _ in parse_qsl(urlsplit(self.url).query, keep_blank_values=True)]
        is_signed = any(SIGNATURE.fullmatch(name) for name in names)
        return [name for name in names if SECRET.fullmatch(name) or (is_signed and COMPANION.fullmatch(name))]

    def pinned(self, sha256: str) -> str:
        """Return the text of this location with a pin, as a definition has it: without credentials.

        The bytes are in the cache by their digest, and a signature expires anyway.
        """
        return f"{self.without_credentials().url}{MARK}{sha256}"

    def without_credentials(self) -> Location:
        """Return this location without the query's parameters that grant access."""
        secret = self.credentials
        if not secret:
            return self
        address = urlsplit(self.url)
        kept = [part for part in address.query.split("&") if unquote_plus(part.partition("=")[0]) not in secret]
        return self._replace(url=urlunsplit(address._replace(query="&".join(kept))))


def is_remote(text: str) -> bool:
    """Return whether a text is a URL of another machine, and no path of this one."""
    return bool(Location(text).scheme)


def parse_location(text: str, sha256: str = "") -> Location:
    """Read `LOCATION`, with its pin beside it, or `LOCATION@sha256:DIGEST`.

    SourceError for a malformed digest, for two digests, for a password in a URL, and for http:// without a pin.
    """
    url, mark, digest = text.rpartition(MARK)
    location = Location(url, digest) if mark else Location(text, sha256)
    if mark and sha256 and sha256 != digest:
        raise SourceError("the location has two different pins", where=location.public, fix="remove one")
    if mark and not DIGEST.fullmatch(digest):
        raise SourceError(f"not a SHA-256: {digest!r}", where=location.public, fix="write 64 hex digits, in lower case")
    _check_password(location)
    address = urlsplit(location.url) if location.scheme in ("http", "https") else None
    if address and location.scheme == "http" and not location.sha256 and address.hostname not in LOOPBACK:
        raise SourceError(
            "anyone on the network path can change what http:// delivers",
            where=location.public,
            fix="use https://, or pin the location with @sha256:DIGEST",
        )
    return location


def _check_password(location: Location) -> None:
    """Raise SourceError for a password before the host or the bucket; a name alone may be a package's, before `@`."""
    is_web = location.scheme in ("http", "https")
    login, mark, host = location.url.partition("://")[2].partition("/")[0].rpartition("@")
    if location.scheme and mark and (is_web or ":" in login):
        raise SourceError(
            "a URL must not hold a password, since archives record where their sources are",
            where=f"{location.scheme}://{host}",
            fix="write the name and the password into ~/.netrc" if is_web else PASSWORDS,
        )


def is_function(text: str) -> bool:
    """Return whether a text names a function, as `file.py:name` or `module:name`."""
    return not text.startswith(PREDICTIONS) and FUNCTION.fullmatch(text) is not None


def is_prediction_log(text: str) -> bool:
    """Return whether a text names the prediction log of a model, as `predictions:NAME/VERSION`."""
    return text.startswith(PREDICTIONS)
