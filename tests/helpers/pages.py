"""Fenced blocks of the documentation, and what is said of them in a comment before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"(?:^<!-- (not run|run): ([^>]*) -->\n)?^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """`elsewhere` is the test that runs it, `why` the reason that none does."""

    page: Path
    kind: str
    text: str
    elsewhere: str
    why: str

    @property
    def here(self) -> bool:
        """Whether it is run with the other pages."""
        return not self.elsewhere and not self.why


def blocks(*kinds: str) -> Iterator[Block]:
    """Those of these languages, in reading order."""
    for page in PAGES:
        for how, detail, kind, text in BLOCK.findall(page.read_text()):
            if kind in kinds:
                yield Block(page, kind, text, detail if how == "run" else "", detail if how == "not run" else "")
