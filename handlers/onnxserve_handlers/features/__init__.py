"""Table rows that a feature store completes."""
