"""What is copied beside an archive; each file stands alone there."""
