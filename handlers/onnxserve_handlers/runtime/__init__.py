"""The session that computes outputs, on a CPU or a GPU."""
