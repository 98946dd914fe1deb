"""outputs -> predictions: one task a module."""
