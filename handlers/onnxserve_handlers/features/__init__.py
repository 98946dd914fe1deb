"""Rows completed from a feature store."""
