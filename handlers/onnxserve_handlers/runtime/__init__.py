"""The session that computes, and which rows run together."""
