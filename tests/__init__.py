"""Unit (no socket), contract (fakes held to the real thing), e2e (real TorchServe)."""
