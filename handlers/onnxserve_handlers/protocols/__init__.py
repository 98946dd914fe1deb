"""bytes -> request, response -> bytes: each module holds one protocol or format."""
