"""A report within a notebook."""

from __future__ import annotations

import html
import re

from onnxserve import Report


def test_a_notebook_shows_it_in_a_frame_that_runs_nothing(tmp_path):
    path = tmp_path / 'a"b.report.html'
    path.write_text('<!doctype html><p class="x">1 &lt; 2</p><script>alert(1)</script>')
    page = Report(path)._repr_html_()
    [content] = re.findall(r'srcdoc="([^"]*)"', page)
    assert html.unescape(content) == path.read_text()
    assert " sandbox " in page
    assert 'title="a&#34;b.report.html"' in page
    assert "<script" not in page
