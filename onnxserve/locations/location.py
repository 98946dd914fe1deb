"""A location: the path or URL of a model, of rows or of other files, and the SHA-256 that pins it."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from onnxserve.errors import SourceError

MARK = "@sha256:"
DIGEST = re.compile(r"[0-9a-f]{64}")
FUNCTION = re.compile(r"(?:[^:\x00-\x1f]+\.py|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):[A-Za-z_]\w*")
PREDICTIONS = "predictions:"
# Parameters that name what is fetched, of stores, hubs and repositories. An import writes no others, since only the
# service knows which of them grant access.
PLAIN = re.compile(
    r"(version|revision|generation|file|object|artifact|resource|dataset)([-_]?(id|name))?|id|rev|ref|branch|tag|path|"
    r"name|filename|commit|hash|sha(1|256)?|md5|etag|format|raw|dl|download|export|alt|at|type|comp|restype|snapshot",
    re.IGNORECASE,
)
# Parameters that grant access by their names: of signed URLs, of shared links, and keys and tokens of any kind.
SIGNATURE = re.compile(r"X-(Amz|Goog)-Signature|Signature|sig", re.IGNORECASE)
SECRET = re.compile(
    r"X-(Amz|Goog)-.*|Signature|sig|.*(key|token|secret|passw(or)?d|pwd|credentials?|jwt|hmac)|(GoogleAccess|AWSAccessKey)Id|"
    r"auth(orization|key|code)?|code|sas|session([-_]?id)?|access|resourcekey",
    re.IGNORECASE,
)
# Parameters that are of a signature where there is one, and may mean anything else without.
COMPANION = re.compile(r"Expires|Key-Pair-Id|Policy|s[eiprstv]|spr|srt|sip|sdd|sk(e|s|t|v|oid|tid)", re.IGNORECASE)
LIKE_A_KEY = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w+=~-]{24,}")  # a value without words, paths or a suffix
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
        """The URL without what may grant access: a web address's query and fragment, a store's secret parameters."""
        if self.scheme in ("http", "https"):
            return self.url.partition("#")[0].partition("?")[0]
        return self.without(self.credentials).url

    @property
    def parameters(self) -> dict[str, str]:
        """The query's parameters by name, as far as a URL of another machine has a query."""
        query = self.url.partition("?")[2].partition("#")[0] if self.scheme else ""
        return dict(parse_qsl(query, keep_blank_values=True))

    @property
    def credentials(self) -> list[str]:
        """The names of the query's parameters that grant access, by their names or by what their values look like."""
        parameters = self.parameters
        is_signed = any(SIGNATURE.fullmatch(name) for name in parameters)
        return [
            name
            for name, value in parameters.items()
            if SECRET.fullmatch(name)
            or (is_signed and COMPANION.fullmatch(name))
            or (not PLAIN.fullmatch(name) and LIKE_A_KEY.fullmatch(value))
        ]

    @property
    def unwritten(self) -> list[str]:
        """The names of the query's parameters that an import doesn't write; of a web address all but `PLAIN` ones."""
        secret = self.credentials
        if self.scheme not in ("http", "https"):
            return secret
        return [name for name in self.parameters if name in secret or not PLAIN.fullmatch(name)]

    def pinned(self, sha256: str) -> str:
        """Return the text of this location with a pin, as a definition has it: without what may grant access.

        The bytes are in the cache by their digest, and a signature expires anyway.
        """
        return f"{self.without(self.unwritten).url}{MARK}{sha256}"

    def without(self, parameters: Collection[str]) -> Location:
        """Return this location without some of the query's parameters; without its fragment, if there are any."""
        base, mark, query = self.url.partition("#")[0].partition("?")
        if not parameters:
            return self if self.scheme not in ("http", "https") else self._replace(url=base + mark + query)
        kept = [part for part in query.split("&") if unquote_plus(part.partition("=")[0]) not in parameters]
        return self._replace(url="?".join([base, *filter(None, ["&".join(kept)])]))


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
