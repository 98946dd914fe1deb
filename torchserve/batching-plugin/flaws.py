"""The known flaws of TorchServe's frontend, and what is done about each: `flaws.toml`.

`python flaws.py vex FILE` writes them as CycloneDX 1.6 VEX, for scanners. `python flaws.py ask` queries the OSV
database (https://google.github.io/osv.dev/api/), and exits with 1 if OSV knows a flaw that the file lacks.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).parent
OSV = "https://api.osv.dev"
TORCHSERVE = "torchserve"
VERSION = "0.12.0"


def known() -> dict[str, Any]:
    """Return the content of `flaws.toml`."""
    return tomllib.loads((HERE / "flaws.toml").read_text(encoding="utf-8"))


def purls(document: dict[str, Any]) -> dict[str, str]:
    """Return the package URL of each library, https://github.com/package-url/purl-spec."""
    libraries = document["libraries"].items()
    java = {name: f"pkg:maven/{name.replace(':', '/')}@{version}" for name, version in libraries}
    return {**java, TORCHSERVE: f"pkg:pypi/{TORCHSERVE}@{VERSION}"}


def vex(document: dict[str, Any]) -> dict[str, Any]:
    """Return the file in CycloneDX, the format of scanners."""
    components = [
        {"type": "library", "bom-ref": purl, "name": name.split(":")[-1], "version": purl.split("@")[1], "purl": purl}
        for name, purl in purls(document).items()
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": components,
        "vulnerabilities": list(vulnerabilities(document)),
    }


def vulnerabilities(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield an entry for each flaw and library."""
    urls = purls(document)
    for flaw in document["flaw"]:
        analysis = {name: flaw[name] for name in ("state", "justification", "response", "detail") if name in flaw}
        for flaw_id in flaw["ids"]:
            entry = {"id": flaw_id, "analysis": analysis, "affects": [{"ref": urls[flaw["library"]]}]}
            tested = {"properties": [{"name": "onnxserve:test", "value": flaw["test"]}]} if "test" in flaw else {}
            yield {**entry, **tested}


def ask(document: dict[str, Any], client: httpx.Client) -> list[str]:
    """Return the flaws that OSV knows and the file lacks, one line each."""
    urls = purls(document)
    queries = [{"package": {"purl": purl}} for purl in urls.values()]
    response = client.post("/v1/querybatch", json={"queries": queries})
    response.raise_for_status()
    listed = {
        name: {flaw_id for flaw in document["flaw"] if flaw["library"] == name for flaw_id in flaw["ids"]}
        for name in urls
    }
    lines = []
    for name, result in zip(urls, response.json()["results"], strict=True):
        for entry in result.get("vulns", []):
            about = client.get(f"/v1/vulns/{entry['id']}").raise_for_status().json()
            if not listed[name] & {entry["id"], *about.get("aliases", [])}:
                lines.append(f"{name}: {entry['id']} {' '.join(about.get('aliases', []))} {about.get('summary', '')}")
    return lines


def main() -> None:
    """Write the VEX, or query OSV for new flaws."""
    match sys.argv[1:]:
        case ["vex", name]:
            Path(name).write_text(json.dumps(vex(known()), indent=2) + "\n", encoding="utf-8")
        case ["ask"]:
            with httpx.Client(base_url=OSV, timeout=60) as client:
                try:
                    lines = ask(known(), client)
                except httpx.HTTPError as error:
                    sys.exit(
                        f"OSV does not answer: {error}\n  where: {OSV}\n"
                        "  fix:   try again from a machine that can reach it"
                    )
            print("\n".join(lines) or "OSV knows no flaw that flaws.toml lacks")
            sys.exit(1 if lines else 0)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
