"""The tokenizer of a transformers folder, as transformers itself builds it.

Since version 5, a tokenizer's class makes most of `tokenizer.json` anew, by its own rules and `tokenizer_config.json`:
so the file may make other tokens of a text than transformers does.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from onnxserve.errors import DefinitionError
from onnxserve_export.sources.pretrained import read_optional
from onnxserve_handlers.inputs.text_tokens import TYPES, panics_as_errors

from .outline import Outline

TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
MASK = "attention_mask"
SAMPLES = (
    "The quick brown fox isn't here; it jumped over 42 dogs!",
    "Mixed CASE,  two  spaces, a\ttab and 3.5% of naïve cafés",
    "Ångström ½ ﬁne — “quoted” 你好 Привет",
)


def read_tokenizer(outline: Outline, inner: Path, tokenizer: Path | None) -> None:
    """Read which tensors the tokenizer gives the model; DefinitionError if its file makes other tokens.

    A file that the user gives is taken as it is.
    """
    own = transformers_tokenizer(inner)
    if own is not None and tokenizer is not None and TOKENIZER not in outline.files:
        check_tokens(own, tokenizer)
    stated = read_optional(inner / TOKENIZER_CONFIG).get("model_input_names")
    names, origin = stated, f"{TOKENIZER_CONFIG}: model_input_names"
    if own is not None:
        names, origin = own.model_input_names, f"model_input_names of {type(own).__name__}"
    if not isinstance(names, list):
        return
    if MASK not in names:
        outline.add("input.batch", "equal", f"{origin} lack {MASK}: the model can't tell padding from text")
    if outline.get("input.pairs") and TYPES not in names:
        outline.add("input.pair_types", False, f"{origin} lack {TYPES}")


def transformers_tokenizer(folder: Path) -> Any:
    """Return a folder's tokenizer as transformers builds it.

    None where no file names its class, where transformers can't build it, or where it isn't installed.
    """
    if not (folder / TOKENIZER_CONFIG).is_file():
        return None
    try:
        import transformers

        return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception:  # noqa: BLE001 - whatever the library raises; the archive's tokenizer is the file
        return None


def check_tokens(own: Any, path: Path) -> None:
    """Raise DefinitionError for a text of which a file makes other tokens than transformers' tokenizer."""
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception:  # noqa: BLE001 - the library has no type of its own; who reads the file says what is wrong
        return
    tokenizer.no_padding()
    tokenizer.no_truncation()
    for text in SAMPLES:
        expected = ids = None
        with suppress(Exception), panics_as_errors():  # a small vocabulary has no token for a part of the text
            expected, ids = own(text, verbose=False)["input_ids"], tokenizer.encode(text).ids
        if ids != expected:
            raise DefinitionError(
                f"{path.name} makes other tokens of {text!r} than {type(own).__name__} of transformers",
                where=str(path),
                fix="AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) writes transformers' own; "
                f"--file {path} takes this one as it is",
            )
