"""Who asks: tokens are checked by Envoy, keys, rates and budgets by nginx, once a request and before any try."""

from __future__ import annotations

from onnxserve.edge.intent import Intent, Jwt

from .typed import Resource, extension, typed

PROVIDER = "issuer"
SUBJECT = "x-onnxserve-subject"
SCOPE = "x-onnxserve-scope"
KEY = "x-api-key"
# What nginx may tell the version that answers, and what it may tell the client.
TO_UPSTREAM = ["x-onnxserve-client", "x-onnxserve-digits", "x-onnxserve-top"]
TO_CLIENT = ["content-type", "retry-after", "www-authenticate"]
AUTHORIZE = "/authorize"
TIMEOUT = "1s"
JWKS_AGE = "2s"  # how long a key that was taken away still counts
EXT_AUTHZ = "envoy.filters.http.ext_authz"


def permission(intent: Intent) -> list[Resource]:
    """The filter that asks nginx; none where nothing is asked."""
    return [ask(intent)] if guarded(intent) else []


def guarded(intent: Intent) -> bool:
    """Whether nginx has a say: who may ask, how often, or what an answer tells."""
    guard = intent.guard
    return intent.auth.required or any((guard.per_second, guard.per_day, guard.digits, guard.top, guard.probing))


def tokens(jwt: Jwt) -> list[Resource]:
    """A token must be valid; whether one is needed at all, nginx decides, since a key will do as well."""
    if not jwt.issuer:
        return []
    provider: Resource = {
        "issuer": jwt.issuer,
        "audiences": list(jwt.audiences),
        # nginx serves the file: Envoy reads a local one only once.
        "remote_jwks": {
            "http_uri": {"uri": "http://nginx/jwks", "cluster": "nginx", "timeout": TIMEOUT},
            "cache_duration": JWKS_AGE,
            "async_fetch": {"fast_listener": False},
        },
        "claim_to_headers": [
            {"header_name": SUBJECT, "claim_name": jwt.claim},
            {"header_name": SCOPE, "claim_name": "scope"},
        ],
        "forward": False,
    }
    either = {"requires_any": {"requirements": [{"provider_name": PROVIDER}, {"allow_missing": {}}]}}
    found = extension(
        "envoy.filters.http.jwt_authn",
        "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        providers={PROVIDER: provider},
        rules=[{"match": {"prefix": "/"}, "requires": either}],
    )
    return [found]


def ask(intent: Intent) -> Resource:
    """One question to nginx; when it doesn't answer, nobody comes in."""
    asked: Resource = {
        "stat_prefix": "guard",
        "http_service": {
            "server_uri": {"uri": "http://nginx", "cluster": "nginx", "timeout": TIMEOUT},
            "path_prefix": AUTHORIZE,
            # A worker of nginx that ended has another in its place; a rate may count twice then, which harms nobody.
            "retry_policy": {"retry_on": "connect-failure,reset", "num_retries": 2},
            "authorization_response": {
                "allowed_upstream_headers": exact(TO_UPSTREAM),
                "allowed_client_headers": exact(TO_CLIENT),
            },
        },
        "allowed_headers": exact([KEY, SUBJECT, SCOPE]),
        "failure_mode_allow": False,
        "status_on_error": {"code": 503},
    }
    if intent.guard.probing:
        asked["with_request_body"] = {"max_request_bytes": intent.limits.body_bytes, "pack_as_bytes": True}
    return extension(EXT_AUTHZ, "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz", **asked)


def exact(names: list[str]) -> Resource:
    """A matcher of header names."""
    return {"patterns": [{"exact": name, "ignore_case": True} for name in names]}


def open_to_all(intent: Intent) -> Resource:
    """What a route needs that anybody may ask."""
    if not guarded(intent):
        return {}
    kind = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute"
    return {"typed_per_filter_config": {EXT_AUTHZ: typed(kind, disabled=True)}}
