"""The session that computes outputs, and which rows run together."""
