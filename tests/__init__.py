"""Unit (no socket), contract (fakes held to the real thing), e2e (real TorchServe)."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
