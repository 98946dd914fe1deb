"""Libraries that are carried as they were published."""

import hashlib
import re

from tests import ROOT

VENDOR = ROOT / "onnxserve" / "console" / "vendor"


def test_each_vendored_file_has_the_recorded_digest_and_the_licence_is_there():
    recorded = dict(line.split()[::-1] for line in (VENDOR / "SHA256SUMS").read_text().splitlines())
    files = {path.name for path in VENDOR.iterdir()} - {"SHA256SUMS", "README.md"}
    assert files == set(recorded) == {"LICENSE", "uPlot.esm.js", "uPlot.min.css"}
    for name, digest in recorded.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name
    assert "MIT License" in (VENDOR / "LICENSE").read_text()


def test_the_console_loads_nothing_from_elsewhere():
    own = [path for path in VENDOR.parent.iterdir() if path.suffix in {".js", ".css", ".html"}]
    assert len(own) > 15
    loads = re.compile(r"""(?:from|import\(?|src=|url\(|href=)\s*["']?(https?:)?//""")
    assert [path.name for path in own if loads.search(path.read_text())] == []


def test_no_file_of_the_console_is_longer_than_a_reader_keeps_in_mind():
    lengths = {path.name: len(path.read_text().splitlines()) for path in VENDOR.parent.iterdir() if path.is_file()}
    assert {name: lines for name, lines in lengths.items() if lines > 300} == {}
