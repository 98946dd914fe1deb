"""The configuration reference, generated from the records that hold the configuration."""
