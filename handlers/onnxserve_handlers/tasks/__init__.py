"""outputs -> predictions: each module holds one task."""
