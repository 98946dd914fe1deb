"""`python -m benchmarks.quantised`: the cost and gain of each variant, from the evidence of exports."""

from __future__ import annotations

from typing import Any

import msgspec

from onnxserve.tuning.tuner import cpu_name

from .arguments import add_store, make_parser

INTRO = """# What each variant costs and gains

Written by `python -m benchmarks.quantised` from the evidence beside the archives, on {machine}. Times are medians of 5
rounds, in which all variants and torch took turns in one process. Batches are run in the parts that the handler would
run. A drop is in points of accuracy on the certify rows; the next column is its upper bound ([how
surely](../concepts/statistics.md)). Variants that were not tried on these rows have neither. Of the nodes in 8 bits or
fewer, the fused ones run in integer kernels. The CPU has these flags that matter to int8: {flags}.
"""


def milliseconds(document: dict[str, Any], variant: str, threads: int, batch: int) -> float | None:
    """Return a row's time, None if it wasn't timed."""
    return next(
        (
            timing["ms"]
            for timing in document["timings"]
            if (timing["variant"], timing["threads"], timing["batch"]) == (variant, threads, batch)
        ),
        None,
    )


def ratio(document: dict[str, Any], variant: str, against: str, threads: int, batch: int) -> str:
    """Return the speed-up over another variant."""
    own_ms, other_ms = (milliseconds(document, name, threads, batch) for name in (variant, against))
    return f"{other_ms / own_ms:.2f}" if own_ms and other_ms else "-"


def section(name: str, document: dict[str, Any]) -> list[str]:
    """Build a model's table."""
    batch, summary = document["served"]["batch"], document["summary"]
    rows = ", ".join(f"{subset} {count}" for subset, count in document["data"]["rows"].items())
    lines = [
        f"## {name}",
        "",
        f"Rows: {rows}. Budget {100 * summary['budget']:.1f} points. Chosen: `{summary['variant']}`.",
        "",
    ]
    times = " | ".join(f"x {against}, b{size}" for against in ("torch", "fp32") for size in (1, batch))
    lines.append(f"| variant | MB | fused | score | drop | at most | flips | {times} | verdict |")
    lines.append("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|")
    for result in document["variants"]:
        paired, variant = result["paired"], result["variant"]
        cells = ["-"] * 4
        if paired:
            cells = [f"{100 * paired[key]:.2f}" for key in ("accuracy", "drop", "bound", "flips")]
        cells += [ratio(document, variant, against, 1, size) for against in ("torch", "fp32") for size in (1, batch)]
        # A refusal starts with its kind if the certify rows weren't evaluated.
        refused = "refused" if paired else result["refusal"].partition(":")[0]
        verdict = "chosen" if variant == summary["variant"] else refused if result["refusal"] else "may serve"
        alone = ", one row at a time" if result["moves"] else ""
        fusion = result.get("fusion", {"quantised": 0})  # evidence of 0.2 has none
        fused = f"{fusion['fused']} of {fusion['quantised']}" if fusion["quantised"] else "-"
        lines.append(f"| {variant} | {result['megabytes']:.1f} | {fused} | {' | '.join(cells)} | {verdict}{alone} |")
    lines += [f"| {variant} | {'- | ' * 10}{reason} |" for variant, reason in document["refused"].items()]
    lines += ["", f"Torch scores {100 * summary['reference_accuracy']:.2f}. One thread."]
    return [*lines, ""]


def main() -> None:
    """Write the page."""
    purpose = "Tabulate what each variant of each archive costs and gains, from the evidence of the exports."
    parser = make_parser("quantised", purpose, "quantisation.md")
    add_store(parser)
    options = parser.parse_args()
    documents = {path: msgspec.json.decode(path.read_bytes()) for path in sorted(options.store.glob("*.evidence.json"))}
    flags = sorted({flag for document in documents.values() for flag in document["environment"]["cpu_flags"]})
    lines = [INTRO.format(machine=cpu_name(), flags=", ".join(flags) or "none")]
    for path, document in documents.items():
        lines += section(path.name.removesuffix(".evidence.json"), document)
    options.page.write_text("\n".join(lines), encoding="utf-8")
    print(options.page)


if __name__ == "__main__":
    main()
