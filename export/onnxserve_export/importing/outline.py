"""The outline of a definition: each value with where it was read, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from onnxserve.errors import DefinitionError
from onnxserve_export.faults import FaultList
from onnxserve_handlers.registry import KINDS, TASKS, input_kind
from onnxserve_handlers.registry import task as task_class
from onnxserve_handlers.signature import InputOptions, OutputOptions

# The options of `onnxserve import` for fields that have one of their own.
OPTIONS = {
    "input.kind": f"--kind, one of {', '.join(KINDS)}",
    "output.task": f"--task, one of {', '.join(TASKS)}",
    "output.labels": "--labels A,B,… or a file with one on each line, in the order of the outputs",
    "input.columns": "--columns A,B,… or a file with one on each line, in the model's order",
    "input.tensors": "--tensor NAME=DTYPE[SIZES] for each input, without the batch, such as frames=float32[time,80]; a "
    "free axis with its largest size too, such as --set input.limits.time=500; or --kind text, image, audio or table, "
    "whose tensors are known",
}


class Fact(NamedTuple):
    """A value of the definition, and where it was read."""

    value: Any
    origin: str


class Gap(NamedTuple):
    """Why a value is needed that nothing gives, and what the user writes to give it."""

    why: str
    remedy: str


def check_choices(facts: Mapping[str, Fact], faults: FaultList) -> None:
    """Add a fault for an unknown kind and for an unknown task."""
    for field, known in (("input.kind", KINDS), ("output.task", TASKS)):
        value = facts[field].value if field in facts else None
        if value is not None and value not in known:
            faults.add(DefinitionError(f"{field} = {value!r} is unknown", fix=f"choose {', '.join(known)}"))


def read_implied(outline: Outline) -> None:
    """Take the kind and the task of which the user gives columns or labels."""
    if outline.get("input.columns"):
        outline.add("input.kind", "table", "--columns")
    if outline.get("output.labels"):
        outline.add("output.task", "classification", "--labels")


def option_of(field: str) -> str:
    """Return the option of `onnxserve import` that sets a field."""
    return OPTIONS.get(field) or f"--set {field}=VALUE"


class Outline:
    """Fields of a definition by dotted path, such as `input.kind`; what the user answered is never replaced.

    `remedy` names what the user writes to give a field. `files` are the user's own for the model's folder, by name.
    """

    def __init__(
        self,
        source: str,
        answers: Mapping[str, Fact],
        remedy: Callable[[str], str] = option_of,
        files: Mapping[str, Path] = MappingProxyType({}),
    ) -> None:
        self.source = source
        self.files = files
        self._remedy = remedy
        self._facts = dict(answers)
        self._gaps = dict[str, Gap]()

    def get(self, field: str, default: Any = None) -> Any:
        """Return a field's value, or the default while it is unknown."""
        return self._facts[field].value if field in self._facts else default

    def add(self, field: str, value: Any, origin: str) -> None:
        """Add a value that was read, unless there is one."""
        self._facts.setdefault(field, Fact(value, origin))

    def replace(self, field: str, value: Any, why: str = "") -> None:
        """Give a value another form, such as an answer of the user's the one that a definition has it in."""
        origin = self._facts[field].origin
        self._facts[field] = Fact(value, f"{origin}; {why}" if why else origin)

    def ask(self, field: str, why: str, remedy: str = "") -> None:
        """Remember that a field or a file is needed which nothing gives; a field has a remedy of its own."""
        if field not in self._facts:
            self._gaps.setdefault(field, Gap(why, remedy or self._remedy(field)))

    def section(self, name: str) -> Iterator[tuple[str, Fact]]:
        """Yield the fields of a section, or with an empty name those of the top, by their own names."""
        for field, fact in self._facts.items():
            section, _, own = field.partition(".") if "." in field else ("", "", field)
            if section == name:
                yield own, fact

    def sections(self) -> list[str]:
        """Return the names of the sections: the input first, then the output, then others as they came."""
        others = dict.fromkeys(field.partition(".")[0] for field in self._facts if "." in field)
        return list(dict.fromkeys(("input", "output", *others)))

    def document(self) -> dict[str, Any]:
        """Return all fields as a definition has them: a section is a mapping."""
        document: dict[str, Any] = {}
        for field, fact in self._facts.items():
            *sections, name = field.split(".")
            table = document
            for section in sections:
                table = table.setdefault(section, {})
            table[name] = fact.value
        return document

    def check(self, faults: FaultList | None = None, hidden: Collection[str] = ()) -> None:
        """Raise DefinitionError or StepFailed for all unknown kinds, tasks and options, and all that is missing.

        What is in `faults` already is told with it. `hidden` are fields and sections that aren't asked for.
        """
        faults = FaultList() if faults is None else faults
        check_choices(self._facts, faults)
        self.ask("input.kind", "what rows are")
        self.ask("output.task", "what predictions are")
        if self.get("input.kind") in KINDS:
            self._check_options("input", input_kind(self.get("input.kind")).input_options, faults)
        if self.get("output.task") in TASKS:
            self._check_options("output", task_class(self.get("output.task")).output_options, faults)
        gaps = {field: gap for field, gap in self._gaps.items() if not {field, field.partition(".")[0]} & {*hidden}}
        if missing := {field: gap for field, gap in gaps.items() if field not in self._facts}:
            faults.add(_missing(missing, self.source))
        faults.check()

    def _check_options(self, section: str, record: type[InputOptions | OutputOptions], faults: FaultList) -> None:
        known = {own: fact.value for own, fact in self.section(section)}
        fields = {field.name: field for field in msgspec.structs.fields(record)}
        unknown = [own for own in known if own.partition(".")[0] not in fields]
        if unknown:
            choice = self.get("input.kind" if section == "input" else "output.task")
            fault = DefinitionError(
                f"[{section}] has no field {', '.join(unknown)} where it is {choice!r}",
                fix=f"it has {', '.join(fields)}: docs/reference/configuration.md says what each means",
            )
            faults.add(fault)
        for name, field in fields.items():
            if field.required:
                self.ask(f"{section}.{name}", "the artefact doesn't say it")
        for name, why in record.questions(known).items():
            self.ask(f"{section}.{name}", why)


def _missing(gaps: Mapping[str, Gap], source: str) -> DefinitionError:
    lines = ["1 value can't be read" if len(gaps) == 1 else f"{len(gaps)} values can't be read"]
    fixes = []
    for number, (field, gap) in enumerate(gaps.items(), 1):
        lines.append(f"  {number}. {field}: {gap.why}")
        fixes.append(f"{number}. {gap.remedy}")
    return DefinitionError("\n".join(lines), where=source, fix="\n         ".join(fixes))
