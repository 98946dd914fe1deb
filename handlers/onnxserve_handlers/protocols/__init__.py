"""bytes -> request, answer -> bytes: one protocol a module."""
