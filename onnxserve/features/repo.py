"""A Feast repository on this machine: its data lies in our state folder, or in a Redis that a variable names."""

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
    """A repository: `folder` has the definitions; `home` the effective configuration, registry and SQLite file."""

    folder: Path
    home: Path

    @property
    def config(self) -> Path:
        """The configuration file that Feast reads."""
        return self.home / YAML

    def command(self, *commands: Sequence[str]) -> list[str]:
        """Return the command of a process that runs these Feast commands on this repository, in order."""
        words = [word for command in commands for word in (THEN, *command)][1:]
        return [sys.executable, str(PROGRAM), str(self.folder), str(self.config), *words]

    def environment(self) -> dict[str, str]:
        """Return the environment with Feast's telemetry switched off."""
        return {**os.environ, **QUIET}


def open_repo(folder: Path, state: Path, environment: dict[str, str] | None = None) -> Repo:
    """Read the repository's configuration and write the effective one; FeatureError if it can't be read."""
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
    effective = place_files(document, home, (environment or dict(os.environ)).get(REDIS, ""))
    content = yaml.safe_dump(effective, sort_keys=False)
    if not repo.config.is_file() or repo.config.read_text(encoding="utf-8") != content:
        repo.config.write_text(content, encoding="utf-8")
    return repo


def place_files(document: dict[str, Any], home: Path, redis: str) -> dict[str, Any]:
    """Return the configuration with relative paths moved to `home`, and with Redis as the online store if named."""
    config: dict[str, Any] = {"provider": "local", "entity_key_serialization_version": 3, **document}
    registry = config.get("registry", "registry.db")
    if isinstance(registry, str):
        config["registry"] = resolve_below(home, registry)
    elif isinstance(registry, dict) and registry.get("registry_type", "file") == "file":
        config["registry"] = {**registry, "path": resolve_below(home, str(registry.get("path", "registry.db")))}
    online = config.get("online_store") or {"type": "sqlite"}
    if redis:
        online = {"type": "redis", "connection_string": redis}
    elif isinstance(online, dict) and online.get("type", "sqlite") == "sqlite":
        online = {**online, "type": "sqlite", "path": resolve_below(home, str(online.get("path", "online.db")))}
    config["online_store"] = online
    return config


def resolve_below(home: Path, path: str) -> str:
    """Return a URL or an absolute path unchanged, any other path below `home`."""
    return path if "://" in path or Path(path).is_absolute() else str(home / path)
