"""Locations: where models, rows and archives come from, and the way of their bytes to this machine."""
