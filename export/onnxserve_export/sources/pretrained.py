"""A folder that transformers' `save_pretrained` wrote: config, safetensors, and what tokenizer or processor need.

The class that `architectures` of `config.json` names builds the module. A folder of sentence-transformers, which has
`modules.json`, is built without a head, since its vectors are made of the last hidden state.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import torch

from onnxserve.errors import DefinitionError

from .pointer import check_pointer
from .source import InputSpec
from .spectrogram import from_samples
from .torch_module import TorchModule
from .untrusted import UntrustedFile

PROCESSOR = "preprocessor_config.json"
CONFIG, MODULES, ADAPTER = "config.json", "modules.json", "adapter_config.json"
HIDDEN_STATE = "last_hidden_state"
# Inputs beside the main one that a tokenizer makes; a module that has them computes their usual values by itself.
TYPES = "token_type_ids"
BESIDE = ("attention_mask", TYPES, "position_ids")
COUNTERS = "num_batches_tracked"  # of batch normalisation, which only training reads
TAKEN = ("Transformer", "Pooling", "Normalize")  # modules of sentence-transformers
PATTERNS = ("*.safetensors", "*.safetensors.index.json")


def open_pretrained(folder: Path, outputs: Sequence[str] = (), *, trust: bool = False) -> TorchModule:
    """Return the module of a folder; DefinitionError if transformers can't build it.

    Weights in pickles (`pytorch_model.bin`) are read only with `trust`; code of a repository's own is never run.
    """
    weights = transformer_folder(folder)
    config = read_json(weights / CONFIG)
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise DefinitionError(
            f"{error.name} is not installed", where=str(folder), fix="pip install 'onnxserve[transformers]'"
        ) from error
    name = architecture(config, folder)
    base: Any = transformers.PreTrainedModel
    builder: Any = getattr(transformers, name, None)
    if (folder / MODULES).is_file():
        builder = transformers.AutoModel
    elif not (isinstance(builder, type) and issubclass(builder, base)):
        what = f"transformers {transformers.__version__} has no {name}, which config.json names"
        raise DefinitionError(what, where=str(folder), fix="install a version that has it")
    check_weights(folder, trust=trust)
    transformers.utils.logging.disable_progress_bar()  # weights of this machine are read in a moment
    try:
        module, loaded = builder.from_pretrained(
            weights,
            dtype=torch.float32,
            attn_implementation="eager",  # the others choose kernels by the machine, or branch on values
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            use_safetensors=None if trust else True,
        )
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DefinitionError(f"transformers can't build {name}: {first}", where=str(folder)) from error
    _check_whole(name, loaded, folder, outputs)
    processor = read_optional(weights / PROCESSOR)
    heard = from_samples(processor, module)
    return TorchModule(heard, outputs) if heard is not None else PretrainedModule(module, outputs)


class PretrainedModule(TorchModule):
    """A module of transformers. It takes its main input, whatever the handler's tensor is called, and a mask."""

    def __init__(self, module: torch.nn.Module, outputs: Sequence[str] = ()) -> None:
        super().__init__(module, outputs)
        parameters = inspect.signature(module.forward).parameters
        main: Any = getattr(module, "main_input_name", "input_ids")
        config: Any = module.config
        has_types = getattr(config, "type_vocab_size", 2) > 1  # RoBERTa's has one: it can't tell two texts apart
        known = [name for name in BESIDE if name in parameters and (has_types or name != TYPES)]
        self.inputs = (InputSpec(str(main)), *(InputSpec(name, required=False) for name in known))
        self.summary = f"transformers {self.summary}"


def transformer_folder(folder: Path) -> Path:
    """Return the folder with `config.json`: of sentence-transformers it may be a folder inside."""
    if not (folder / MODULES).is_file():
        return folder
    return sentence_modules(folder)[0][1]


def sentence_modules(folder: Path) -> list[tuple[str, Path]]:
    """Return types and folders of the modules that `modules.json` lists; DefinitionError for one that isn't taken.

    The first builds the graph, and the task makes vectors of what it gives; others would be left out without a word.
    """
    listed, where = read_json(folder / MODULES), str(folder / MODULES)
    is_list = isinstance(listed, list) and bool(listed)
    if not is_list or not all(isinstance(entry, dict) and "type" in entry for entry in listed):
        raise DefinitionError(f"{MODULES} isn't a list of modules with a type each", where=where)
    entries = [(str(entry["type"]).rpartition(".")[2], inner_folder(folder, entry.get("path", ""))) for entry in listed]
    if unknown := [name for name, _ in entries if name not in TAKEN]:
        raise DefinitionError(
            f"{MODULES} has {', '.join(unknown)}, which isn't taken: {', '.join(TAKEN)} are",
            where=where,
            fix='build the whole chain as a module in model.py, and set source = "model.py:load"',
        )
    return entries


def inner_folder(folder: Path, name: Any) -> Path:
    """Return a folder that `modules.json` names; DefinitionError for one outside, which no pin would cover."""
    path = PurePosixPath(str(name))
    if path.is_absolute() or ".." in path.parts:
        raise DefinitionError(f"{MODULES} names {name!r}, which lies outside of it", where=str(folder / MODULES))
    return folder / path


def read_json(path: Path) -> Any:
    """Return a JSON document; DefinitionError if there is none."""
    try:
        return msgspec.json.decode(path.read_bytes())
    except FileNotFoundError as error:
        raise DefinitionError(
            f"there is no {path.name} in {path.parent}",
            where=str(path),
            fix="give a folder that save_pretrained of transformers or sentence-transformers wrote",
        ) from error
    except (OSError, msgspec.DecodeError) as error:
        raise DefinitionError(f"{path.name} can't be read: {error}", where=str(path)) from error


def read_object(path: Path) -> dict[str, Any]:
    """Return a JSON object; DefinitionError if there is none."""
    document = read_json(path)
    if not isinstance(document, dict):
        raise DefinitionError(f"{path.name} isn't a JSON object", where=str(path))
    return document


def read_optional(path: Path) -> dict[str, Any]:
    """Return a JSON object, empty where there is no file; DefinitionError for a file that holds none."""
    return read_object(path) if path.is_file() else {}


def architecture(config: Any, folder: Path) -> str:
    """Return the class that a config names; DefinitionError if it names none."""
    names = config.get("architectures") if isinstance(config, dict) else None
    if not isinstance(names, list) or not names:
        raise DefinitionError(
            "config.json names no `architectures`",
            where=str(folder),
            fix="write the folder with save_pretrained of the model, not of its config",
        )
    return str(names[0])


def _check_whole(name: str, loaded: dict[str, Any], folder: Path, outputs: Sequence[str]) -> None:
    """Raise DefinitionError for parameters that the weights lack: transformers draws them at random.

    A pooler isn't among them where only the hidden states are served.
    """
    keys = (str(key) for key in loaded["missing_keys"])
    lacking = {key for key in keys if not key.endswith(COUNTERS)}
    if set(outputs) == {HIDDEN_STATE}:
        lacking = {key for key in lacking if "pooler" not in key.split(".")}
    if lacking:
        some = ", ".join(sorted(lacking)[:3]) + (", …" if len(lacking) > 3 else "")
        raise DefinitionError(
            f"the weights lack {len(lacking)} parameters of {name}, which would be random: {some}",
            where=str(folder),
            fix="write the folder with save_pretrained of the trained model, with its head",
        )


def check_weights(source: Path, *, trust: bool) -> None:
    """Raise DefinitionError unless the folder has whole weights; UntrustedFile if they are pickles without `trust`."""
    folder = transformer_folder(source)
    if (folder / ADAPTER).is_file():
        raise DefinitionError(
            f"{ADAPTER} names another model, of which these weights are a part",
            where=str(folder),
            fix="merge them with merge_and_unload of peft, and save_pretrained the whole",
        )
    weights = [path for pattern in PATTERNS for path in folder.glob(pattern)]
    for path in weights:
        check_pointer(path)
    if trust or weights:
        return
    pickles = sorted(path.name for path in folder.glob("*.bin"))
    fix = "save_pretrained writes safetensors, which need no trust"
    if not pickles:
        raise DefinitionError("there are no weights", where=str(folder), fix=fix)
    what = f"{pickles[0]} is a pickle: reading it runs whatever code it names"
    raise UntrustedFile(what, where=str(folder), fix=f"{fix}; or --trust, if you made it yourself")
