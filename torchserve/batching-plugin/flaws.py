"""What is known to be wrong with TorchServe's frontend, and what is done about it: `flaws.toml`.

`python flaws.py vex FILE` writes it as CycloneDX 1.6 VEX, for scanners; `python flaws.py ask` asks the OSV database
(https://google.github.io/osv.dev/api/) and ends with 1 when that knows a flaw which isn't there.
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
    """The file's content."""
    return tomllib.loads((HERE / "flaws.toml").read_text(encoding="utf-8"))


def purls(document: dict[str, Any]) -> dict[str, str]:
    """The package URL of each library, https://github.com/package-url/purl-spec."""
    found = {name: f"pkg:maven/{name.replace(':', '/')}@{version}" for name, version in document["libraries"].items()}
    return {**found, TORCHSERVE: f"pkg:pypi/{TORCHSERVE}@{VERSION}"}


def vex(document: dict[str, Any]) -> dict[str, Any]:
    """The file as scanners read it."""
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
    """One for each flaw and library."""
    places = purls(document)
    for flaw in document["flaw"]:
        analysis = {name: flaw[name] for name in ("state", "justification", "response", "detail") if name in flaw}
        for one in flaw["ids"]:
            made = {"id": one, "analysis": analysis, "affects": [{"ref": places[flaw["library"]]}]}
            tested = {"properties": [{"name": "onnxserve:test", "value": flaw["test"]}]} if "test" in flaw else {}
            yield {**made, **tested}


def ask(document: dict[str, Any], client: httpx.Client) -> list[str]:
    """Flaws that OSV knows and the file doesn't, one line each."""
    places = purls(document)
    queries = [{"package": {"purl": purl}} for purl in places.values()]
    answer = client.post("/v1/querybatch", json={"queries": queries})
    answer.raise_for_status()
    mine = {
        name: {one for flaw in document["flaw"] if flaw["library"] == name for one in flaw["ids"]} for name in places
    }
    found = []
    for name, result in zip(places, answer.json()["results"], strict=True):
        for entry in result.get("vulns", []):
            about = client.get(f"/v1/vulns/{entry['id']}").raise_for_status().json()
            if not mine[name] & {entry["id"], *about.get("aliases", [])}:
                found.append(f"{name}: {entry['id']} {' '.join(about.get('aliases', []))} {about.get('summary', '')}")
    return found


def main() -> None:
    """Write the VEX, or ask."""
    match sys.argv[1:]:
        case ["vex", name]:
            Path(name).write_text(json.dumps(vex(known()), indent=2) + "\n", encoding="utf-8")
        case ["ask"]:
            with httpx.Client(base_url=OSV, timeout=60) as client:
                try:
                    found = ask(known(), client)
                except httpx.HTTPError as error:
                    sys.exit(
                        f"OSV does not answer: {error}\n  where: {OSV}\n  fix:   try again where it can be reached"
                    )
            print("\n".join(found) or "OSV knows nothing that flaws.toml doesn't")
            sys.exit(1 if found else 0)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
