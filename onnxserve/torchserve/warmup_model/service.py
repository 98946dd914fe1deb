"""A trivial model, so that load on it exercises the frontend alone."""


class WarmUp:
    """Answers every request with two bytes."""

    def initialize(self, context: object) -> None:
        """Load nothing."""

    def handle(self, data: list[object], _context: object) -> list[bytes]:
        """Return one answer per request."""
        return [b"{}"] * len(data)
