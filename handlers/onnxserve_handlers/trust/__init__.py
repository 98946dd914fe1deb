"""Whether the archive is what was exported, proven and signed."""
