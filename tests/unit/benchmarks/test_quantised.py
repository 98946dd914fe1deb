"""What the page about quantisation says."""

from benchmarks.quantised import section


def test_the_quantisation_page_has_ratios_and_verdicts():
    fusion = {"quantised": 0, "fused": 0}
    variant = {"variant": "fp32", "megabytes": 2.0, "paired": None, "refusal": "", "moves": False, "fusion": fusion}
    bad = {"variant": "bad", "refusal": "too bad", "moves": True, "fusion": {"quantised": 50, "fused": 12}}
    paired = {"accuracy": 0.9, "drop": 0.01, "bound": 0.02, "flips": 0.03}
    document = {
        "served": {"threads": 1, "batch": 8},
        "summary": {"variant": "fp32", "budget": 0.01, "reference_accuracy": 0.9},
        "data": {"rows": {"certify": 10}},
        "timings": [
            {"variant": name, "threads": 1, "batch": batch, "ms": ms}
            for name, ms in (("fp32", 2.0), ("torch", 6.0), ("bad", 1.0))
            for batch in (1, 8)
        ],
        "variants": [variant, variant | bad | {"paired": paired}],
        "refused": {"w4": "could not be made"},
    }
    text = "\n".join(section("m", document))
    assert "| fp32 | 2.0 | - | - | - | - | - | 3.00 | 3.00 | 1.00 | 1.00 | chosen |" in text
    assert (
        "| bad | 2.0 | 12 of 50 | 90.00 | 1.00 | 2.00 | 3.00 | 6.00 | 6.00 | 2.00 | 2.00 | refused, one row at a time |"
        in text
    )
    assert "could not be made" in text
