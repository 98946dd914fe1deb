"""Checks that an archive is what was exported, proven and signed."""
