"""A Feast repository as this machine uses it: what it keeps lies in our state folder, or in a Redis that is named."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from onnxserve.errors import FeatureError

from .program import THEN

PROGRAM = Path(__file__).with_name("program.py")
YAML = "feature_store.yaml"
REDIS = "ONNXSERVE_REDIS"  # host:port[,password=…]: the online store, in place of SQLite
QUIET = {"FEAST_USAGE": "False", "IS_TEST": "False"}


@dataclass(frozen=True)
class Repo:
    """`folder` has the definitions; `home` the configuration in force, the registry and SQLite's file."""

    folder: Path
    home: Path

    @property
    def config(self) -> Path:
        """What Feast reads."""
        return self.home / YAML

    def command(self, *commands: Sequence[str]) -> list[str]:
        """A process that runs these commands of Feast's own command line on this repository, one after the other."""
        words = [word for command in commands for word in (THEN, *command)][1:]
        return [sys.executable, str(PROGRAM), str(self.folder), str(self.config), *words]

    def environment(self) -> dict[str, str]:
        """Without telemetry."""
        return {**os.environ, **QUIET}


def open_repo(folder: Path, state: Path, environment: dict[str, str] | None = None) -> Repo:
    """Read the repository's configuration and write the one in force."""
    path = folder / YAML
    try:
        text = os.path.expandvars(path.read_text(encoding="utf-8"))
        document = yaml.safe_load(text)
    except OSError as error:
        raise FeatureError("there is no Feast repository here", where=str(path), fix="name its folder") from error
    except yaml.YAMLError as error:
        raise FeatureError(f"not valid YAML: {error}", where=str(path)) from error
    if not isinstance(document, dict) or not document.get("project"):
        raise FeatureError("`project` is missing", where=str(path))
    home = (state / "features" / str(document["project"])).resolve()
    home.mkdir(parents=True, exist_ok=True)
    repo = Repo(folder.resolve(), home)
    kept = placed(document, home, (environment or dict(os.environ)).get(REDIS, ""))
    content = yaml.safe_dump(kept, sort_keys=False)
    if not repo.config.is_file() or repo.config.read_text(encoding="utf-8") != content:
        repo.config.write_text(content, encoding="utf-8")
    return repo


def placed(document: dict[str, Any], home: Path, redis: str) -> dict[str, Any]:
    """Files that have no place of their own get one in `home`; Redis, where it is named, is the online store."""
    found: dict[str, Any] = {"provider": "local", "entity_key_serialization_version": 3, **document}
    registry = found.get("registry", "registry.db")
    if isinstance(registry, str):
        found["registry"] = within(home, registry)
    elif isinstance(registry, dict) and registry.get("registry_type", "file") == "file":
        found["registry"] = {**registry, "path": within(home, str(registry.get("path", "registry.db")))}
    online = found.get("online_store") or {"type": "sqlite"}
    if redis:
        online = {"type": "redis", "connection_string": redis}
    elif isinstance(online, dict) and online.get("type", "sqlite") == "sqlite":
        online = {**online, "type": "sqlite", "path": within(home, str(online.get("path", "online.db")))}
    found["online_store"] = online
    return found


def within(home: Path, path: str) -> str:
    """A URL or an absolute path as it is, any other in `home`."""
    return path if "://" in path or Path(path).is_absolute() else str(home / path)
