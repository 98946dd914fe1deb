"""The check of trusted keys, and of a running server's archives that wouldn't be loaded again."""

from __future__ import annotations

from onnxserve.archive import configured_keys, refusals
from onnxserve.archive.revoke import revoked_now
from onnxserve.errors import OnnxserveError
from onnxserve.torchserve import Settings, stores_of

from .finding import Finding

NAME = "trust"
FIX = "move traffic to other versions and retire these, since a worker of theirs that ends would not come back"


def trust(settings: Settings) -> Finding:
    """Report the current keys and revocations, and the running server's archives that they refuse."""
    try:
        keys, revoked, stores = configured_keys(), revoked_now(), stores_of(settings)
        refused = refusals(stores.server, *keys) if stores.server != stores.user else []
    except OnnxserveError as error:
        return Finding(NAME, error.what, error.fix or "see docs/guides/trust.md")
    if refused:
        reasons = "; ".join(f"{refusal.file}: {refusal.reason}" for refusal in refused)
        return Finding(NAME, f"the server has {reasons}", FIX)
    who = f"archives signed by one of {len(keys)} keys" if keys else "archives need no signature"
    return Finding(NAME, f"{who}; {len(revoked.keys)} keys and {len(revoked.archives)} archives are revoked")
