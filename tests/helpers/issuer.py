"""An issuer of tokens (JWT), whose public key is in a file."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa


class Issuer:
    """Issues tokens of a client who has no key; `jwks` is the file that gets its public key."""

    name = "https://issuer.test"

    def __init__(self, jwks: Path) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        jwks.write_text(json.dumps({"keys": [{**public, "kid": "one", "alg": "RS256", "use": "sig"}]}))

    def token(self, **changes: object) -> str:
        """Return a token for five minutes; a claim that is None is left out."""
        until = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5)
        usual = {"iss": self.name, "aud": "onnxserve", "sub": "ann", "exp": until}
        claims = {name: value for name, value in {**usual, **changes}.items() if value is not None}
        # As JSON, since the library refuses to write what no issuer should.
        content = json.dumps(claims, default=lambda date: int(date.timestamp())).encode()
        return jwt.api_jws.encode(content, self._key, "RS256", {"kid": "one"})
