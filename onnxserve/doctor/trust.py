"""Whom this machine trusts, and whether a running server has archives that would not be loaded again."""

from __future__ import annotations

from onnxserve.archive import configured_keys, refusals
from onnxserve.archive.revoke import revoked_now
from onnxserve.errors import OnnxserveError
from onnxserve.torchserve import Settings, stores_of

from .finding import Finding

NAME = "trust"
FIX = "move traffic to other versions and retire these: a worker of theirs that ends would not come back"


def trust(settings: Settings) -> Finding:
    """Keys and revocations of now, and what they say of the archives that the server has."""
    try:
        keys, revoked, stores = configured_keys(), revoked_now(), stores_of(settings)
        refused = refusals(stores.served, *keys) if stores.served != stores.kept else []
    except OnnxserveError as error:
        return Finding(NAME, error.what, error.fix or "see docs/guides/trust.md")
    if refused:
        reasons = "; ".join(f"{refusal.file}: {refusal.reason}" for refusal in refused)
        return Finding(NAME, f"the server has {reasons}", FIX)
    who = f"archives signed by one of {len(keys)} keys" if keys else "archives need no signature"
    return Finding(NAME, f"{who}; {len(revoked.keys)} keys and {len(revoked.archives)} archives are revoked")
