"""Files that are copied beside an archive; each runs alone there."""
