"""nginx's files, from the template beside."""

from __future__ import annotations

import os
import pwd
from importlib.resources import files
from pathlib import Path

import jinja2
import msgspec

from onnxserve.edge.greeting import SERVER
from onnxserve.edge.intent import Intent
from onnxserve.places import INSIDE

HERE = files(__package__)
LEAST_KEPT_S = 600
SCRIPTS = ("edge.js", "answers.js", "guard.js", "openapi.js", "about.js")


def nginx_files(intent: Intent, run: Path, inference_port: int, management_port: int) -> dict[str, bytes]:
    """`nginx.conf` and the scripts it reads, by name, to lie in `run`."""
    text = (HERE / "nginx.conf.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True)  # noqa: S701 - no HTML
    config = environment.from_string(text).render(
        intent=intent,
        guard=guard(intent),
        server=msgspec.json.encode(SERVER).decode(),
        run=run,
        state=run.parent,
        console=INSIDE / "console",
        scripts=run,
        user=pwd.getpwuid(0).pw_name if os.geteuid() == 0 else "",
        keep_s=max(LEAST_KEPT_S, round(10 * intent.cache.seconds)),
        read_s=round(intent.deadline.answer_s) + 1,
        inference_port=inference_port,
        management_port=management_port,
    )
    return {"nginx.conf": config.encode(), **{name: (HERE / name).read_bytes() for name in SCRIPTS}}


def guard(intent: Intent) -> str:
    """What the script needs to know, in JSON."""
    return msgspec.json.encode({**msgspec.structs.asdict(intent.guard), "required": intent.auth.required}).decode()
