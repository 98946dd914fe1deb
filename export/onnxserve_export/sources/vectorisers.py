r"""Steps of scikit-learn that count the words of texts, and what a graph counts in the same way.

In a graph, ONNX Runtime's Tokenizer finds words by a regular expression of RE2, where `\w` and `\b` know ASCII alone,
and StringNormalizer makes lower case by a locale that a server may lack. So patterns are written with Unicode's
classes, and the handler makes lower case, as Python does it. Whatever no graph does is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from onnxserve.errors import DefinitionError

from .model_parts import parts
from .pipeline_columns import is_vectoriser, readers_of, reads_texts, voters

WORD = r"\p{L}\p{N}_"  # what Python's \w means
SPACE = r"\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"  # Python's \s
# A run of word characters is the same with \b at its ends, since no match could begin or end within it.
RUN = re.compile(r"(?:\(\?u\))?(?:\\b)?(?P<more>(?:\\w)*)(?:\\w\+|\\w\{(?P<least>\d+),\})(?:\\b)?")
NO_SPACE = re.compile(r"(?:\(\?u\))?\\S\+")
# Characters and classes, each as often as a quantifier says, are the same in RE2. Groups, flags and classes by letter
# aren't, nor are alternatives and lazy quantifiers, of which ONNX Runtime takes the longest match.
PLAIN = re.compile(
    r"""(?:
        (?: \[\^?(?: \\[^\w] | \\[nrt] | [^\\\[\]] )+\]  # a class
          | \\[^\w] | \\[nrt] | [^\\\[\](){}*+?|^$] )    # a character
        (?: [*+?] | \{\d+(?:,\d*)?\} )?(?! [*+?{] )
    )+""",
    re.VERBOSE,
)
OPEN = ("steps", "transformers_", "transformer_list")  # of models whose steps read texts where they stand in them
PATTERN_FIX = (
    r"fit it with token_pattern=r'(?u)\b\w\w+\b', which is the default, r'\w+' or r'\S+', or with a pattern of plain "
    "classes such as '[a-z]+'"
)


def expression_of(pattern: str) -> str:
    """Return RE2's expression for the words that a pattern of Python finds; empty where there is none."""
    if match := RUN.fullmatch(pattern):
        least = len(match["more"]) // 2 + int(match["least"] or 1)
        return f"[{WORD}]{{{least},}}"
    if NO_SPACE.fullmatch(pattern):
        return f"[^{SPACE}]+"
    return pattern if PLAIN.fullmatch(pattern) and not re.match(pattern, "") else ""


def vectorisers(model: Any) -> list[Any]:
    """Return all steps that count words."""
    return [part for part in (model, *parts(model)) if is_vectoriser(part)]


def check_vectorisers(model: Any) -> None:
    """Raise DefinitionError for steps that count words as no graph does; it lists all causes, and the way out."""
    faults = [fault for step in (model, *parts(model)) for fault in (*_hidden(step), *_faults(step))]
    if faults:
        raise DefinitionError(
            "the model can't become a graph:\n" + "\n".join(dict.fromkeys(f"  {what}" for what, _ in faults)),
            fix="\n         ".join(dict.fromkeys(fix for _, fix in faults)),
        )
    lowered_columns(model)


def _hidden(holder: Any) -> Iterator[tuple[str, str]]:
    """Yield the fault of a model whose members count words, where the converter gives members numbers alone."""
    is_open = any(hasattr(holder, field) for field in OPEN) or voters(holder)
    if is_open or not hasattr(holder, "get_params"):  # part of a model that is named itself
        return
    if counting := [part for part in parts(holder) if is_vectoriser(part)]:
        name, words = type(holder).__name__, type(counting[0]).__name__
        yield (
            f"members of {name} read texts ({words})",
            f"fit it behind the {words}: make_pipeline({words}(), {name}(…))",
        )


def _faults(step: Any) -> Iterator[tuple[str, str]]:
    """Yield what of a step no graph does, and the way out."""
    name = type(step).__name__
    if not is_vectoriser(step):
        return
    if not hasattr(step, "vocabulary_"):
        yield f"{name} has no vocabulary", "fit a TfidfVectorizer or a CountVectorizer; max_features bounds its size"
        return
    if step.input != "content":
        yield f"{name} reads files (input={step.input!r})", "fit it to the texts themselves"
    for field in ("preprocessor", "tokenizer"):
        if getattr(step, field) is not None:
            yield f"{name} has a {field} of your own, which is code", f"fit it without {field}"
    if step.strip_accents:
        yield f"{name} strips accents", "fit it without strip_accents"
    if step.analyzer != "word":
        kind = step.analyzer if isinstance(step.analyzer, str) else "a function"
        yield f"{name} doesn't count words (analyzer={kind!r})", "fit it with analyzer='word'"
    elif step.token_pattern and not expression_of(step.token_pattern):
        yield f"{name} finds words by {step.token_pattern!r}, which RE2 reads otherwise than Python", PATTERN_FIX
    else:
        yield from _group_faults(step)


def _group_faults(step: Any) -> Iterator[tuple[str, str]]:
    """Yield what no graph does of the groups of words in a vocabulary, and the way out."""
    name, (least, most) = type(step).__name__, step.ngram_range
    if strange := _unreachable(step):
        yield (
            f"{name} never counts {strange!r} of its vocabulary, since ngram_range=({least}, {most})",
            "fit it with a vocabulary of groups of that many words, or with the ngram_range of those that it has",
        )
    elif most > 1 and _has_spaces(step):
        yield (
            f"{name} counts groups of words that hold spaces themselves (token_pattern={step.token_pattern!r})",
            "fit it with ngram_range=(1, 1), or with a token_pattern that no space matches",
        )


def _unreachable(step: Any) -> str:
    """Return a group of the vocabulary with more or fewer words than `ngram_range` allows; empty where none is."""
    least, most = step.ngram_range
    if not getattr(step, "fixed_vocabulary_", False):
        return ""
    words = step.build_tokenizer()
    return next((group for group in step.vocabulary_ if not least <= max(1, len(words(group))) <= most), "")


def _has_spaces(step: Any) -> bool:
    """Return whether a word of a group may hold a space, so that nothing tells where it ends."""
    words = step.build_tokenizer()
    return any(" " in word for group in step.vocabulary_ for word in words(group))


def lowered_columns(model: Any) -> frozenset[str]:
    """Return the columns whose texts are made lower case by all steps that read them, so that the handler may do it.

    DefinitionError for a column that one step reads in lower case and another as it is.
    """
    cases: dict[str, set[bool]] = {}
    for names, chain in readers_of(model):
        own = vectorisers(chain[0]) if reads_texts(chain[0]) else []
        for name in names:
            cases.setdefault(name, set()).update(bool(step.lowercase) for step in own)
            if not own:
                cases[name].add(False)
    if mixed := [name for name, own in cases.items() if len(own) > 1]:
        raise DefinitionError(
            f"the steps that read column {mixed[0]!r} don't agree whether it becomes lower case",
            fix="give them the same `lowercase`, or a copy of the column under another name",
        )
    return frozenset(name for name, own in cases.items() if own == {True})


def word_options(model: Any) -> dict[int, dict[str, str]]:
    """Return the converter's options for the vectorisers of a model, by the steps' ids: how words are found."""
    return {id(step): {"tokenexp": expression_of(step.token_pattern)} for step in vectorisers(model)}
