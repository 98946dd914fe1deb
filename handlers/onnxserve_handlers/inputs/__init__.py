"""row -> tensors: the hooks of an input kind, and the options that every kind has; each module holds one kind."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ..errors import BodyTooLarge, InvalidRow, RequestError, UndecodableBody, guard
from ..protocols.body import json_type, unwrap
from ..signature import InputOptions, Positive, Schema, Signature, object_schema
from .tensors_arrays import Buffers

__all__ = ["BASE64", "EncodedInput", "InputHooks", "InputOptions", "OwnOptions", "Positive"]

Array = npt.NDArray[Any]
Arrays = dict[str, Array]
# Files of the largest size in a request: a few bytes may stand for many pixels or samples. They take time rather than
# memory, since a thread decodes one at a time: eight take some seconds, less than a batch of requests with one each.
MOST_WHOLE = 8
BASE64: Schema = {"type": "string", "contentEncoding": "base64"}


class OwnOptions(InputOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a handler of a user's own may read that makes tensors itself."""

    columns: tuple[str, ...] = ()
    max_tokens: Positive = 128
    height: int = 0
    width: int = 0
    channels: int = 3
    mean: float = 127.0
    scale: float = 128.0
    max_pixels: Positive = 16_000_000
    background: int = 255

    @property
    def is_loggable(self) -> bool:
        """Whether rows aren't images."""
        return not self.height

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of a table's columns."""
        return self.columns


class InputHooks:
    """The hooks of an input kind, and what they may use; `Handler` calls them."""

    # The record of the kind's options.
    input_options: ClassVar[type[InputOptions]] = OwnOptions
    # Packages that the kind imports beside those that all archives need.
    packages: ClassVar[tuple[str, ...]] = ()
    # Free axes beside the batch, by input name: {"input_ids": {1: "sequence"}}.
    dynamic_axes: Mapping[str, Mapping[int, str]] = MappingProxyType({})
    # Files of the archive that `prepare` reads; an export takes them from the source's folder or the definition's.
    files: ClassVar[tuple[str, ...]] = ()
    # Content types that are read as one raw row, beside JSON.
    raw_types: ClassVar[tuple[str, ...]] = ()
    # Names that may stand before a row in JSON: {"text": "..."}.
    row_keys: tuple[str, ...] = ("data",)
    # Whether the padding of a shorter row stands before it instead of behind it.
    pads_left = False
    # Whether rows must know where their parts stand in what the client sent. The task has the value.
    reads_offsets: ClassVar[bool]

    signature: Signature  # what `signature.json` says: options, labels, tensors and limits
    folder: Path  # where the archive is unpacked
    settings: Mapping[str, Any] = MappingProxyType({})  # the table `handler` of the archive's configuration
    threads = 1  # how many threads this worker may use

    def __init__(self) -> None:
        self.buffers = Buffers()

    def prepare(self) -> None:
        """Load what `check` and `tensors` need from `self.folder` and `self.signature`."""

    def check(self, instance: Any, where: str) -> Any:
        """Return one instance as a row; raise InvalidRow or UndecodableBody for an instance outside the signature."""
        raise NotImplementedError

    def tensors(self, rows: Sequence[Any]) -> Arrays:
        """Return the graph's inputs for some rows by name, shape (rows, ...). The arrays may be `self.buffers`'."""
        raise NotImplementedError

    # Hooks that a kind may fill in as well -----------------------------------

    def read(self, body: Any) -> Any:
        """Return the request of a body; `Handler` reads every protocol."""
        raise NotImplementedError

    def check_together(self, instances: list[Any]) -> None:
        """Raise BodyTooLarge for a request whose instances would take too long together, before any is checked.

        What it has decoded for that may take an instance's place.
        """

    def check_all(self, instances: Sequence[Any], places: Sequence[int]) -> list[Any]:
        """Return a row or a RequestError for each instance of a batch; `places` are their indices in their requests."""
        return [
            guard(partial(self.check, instance, f"instances[{place}]"))
            for instance, place in zip(instances, places, strict=True)
        ]

    def columnar(self) -> bool:
        """Return whether `check_columns` takes rows as one array per column."""
        return False

    def check_columns(self, columns: Mapping[str, Array]) -> tuple[Arrays, npt.NDArray[np.bool_]]:
        """Return the graph's inputs for one array per column, and which rows `check` would accept, shape (rows,)."""
        raise NotImplementedError

    def lengths(self, rows: Sequence[Any]) -> list[int] | None:  # noqa: ARG002 - a hook
        """Return each row's length before padding, None where rows don't pad each other."""
        return None

    def batch_keys(self, rows: Sequence[Any]) -> list[Hashable] | None:  # noqa: ARG002 - a hook
        """Return a key per row, so that only rows of one key run together; None where all may."""
        return None

    def sizes(self, rows: Sequence[Any]) -> Mapping[str, Sequence[int]]:
        """Return each row's own size of the free axes beside the batch, by the axis's name."""
        lengths = self.lengths(rows)
        names = {name for axes in self.dynamic_axes.values() for name in axes.values()}
        return {} if lengths is None else dict.fromkeys(names, lengths)

    def tensor_sizes(self, tensors: Mapping[str, Array]) -> Mapping[str, Sequence[int]]:
        """Return the same for rows that a client sent as tensors, with the client's padding."""
        return {
            name: [array.shape[axis]] * len(array)
            for key, array in tensors.items()
            for axis, name in self.dynamic_axes.get(key, {}).items()
        }

    def tensor_masks(self, tensors: Mapping[str, Array]) -> Mapping[str, npt.NDArray[np.bool_]]:  # noqa: ARG002 - a hook
        """Return which elements along free axes are a row's own, for rows that a client sent as tensors.

        By the axis's name, shape (rows, size of the axis); an axis that is left out has no padding.
        """
        return {}

    def origins(self, rows: Sequence[Any]) -> Sequence[Any] | None:  # noqa: ARG002 - a hook
        """Return where each row's places in the graph lie in what the client sent: an image's `Frame`.

        One value a row that JSON can hold, since the export compares labels with outputs without the rows themselves.
        None where no task asks for it.
        """
        return None

    def sample(self, draws: np.random.Generator) -> Any:  # noqa: ARG002 - a hook
        """Return a random instance as a client would send it in JSON, within the signature; None if none can be made.

        The export compares the graph with its source on such rows too.
        """
        return None

    def raw(self, content: bytes | bytearray) -> bool:  # noqa: ARG002 - a hook
        """Return whether a body without a declared type is a raw row rather than JSON."""
        return False

    def measures(self, rows: Sequence[Any]) -> Mapping[str, Array]:  # noqa: ARG002 - a hook
        """Return numbers of checked rows by measure, shape (rows,), NaN where a row has none.

        Drift compares them with the archive's profile.
        """
        return {}

    def tensor_rows(self, tensors: Mapping[str, Array]) -> list[Any]:  # noqa: ARG002 - a hook
        """Return the rows of a client's tensors as `measures` takes them; none where tensors don't tell them."""
        return []

    def free_axes(self) -> dict[str, int]:
        """Return the largest sizes of the free axes beside the batch, by name."""
        return {}

    def least_sizes(self) -> dict[str, int]:
        """Return the smallest sizes of the free axes beside the batch, by name; 1 for those that it leaves out."""
        return {}

    def check_values(self, tensors: Arrays) -> None:
        """Raise InvalidRow for a client's tensors if the graph can't take their elements."""

    def notes(self, rows: Sequence[Any]) -> tuple[tuple[str, str], ...]:  # noqa: ARG002 - a hook
        """Return headers for the response about these rows."""
        return ()

    def row_schema(self) -> Schema:
        """Return the JSON schema of one row, for OpenAPI; an empty one allows everything."""
        return {}


class EncodedInput(InputHooks):
    """Rows are files, as raw bytes or as base64 in JSON; the files of a batch are decoded in parallel."""

    decoders: ThreadPoolExecutor | None = None  # threads that decode the files of a batch; None for one thread

    def prepare(self) -> None:
        """Start as many threads for decoding as the model may use."""
        if self.threads > 1:
            self.decoders = ThreadPoolExecutor(self.threads, "decode")

    def check_together(self, instances: list[Any]) -> None:
        """Raise BodyTooLarge for files that are more than `MOST_WHOLE` of the largest size by their headers.

        A file takes the place of its base64, which is then decoded once and needs no memory any more.
        """
        total = 0.0
        for index, instance in enumerate(instances if len(instances) > 1 else ()):
            with suppress(RequestError):  # `check` will say where
                file = self.content(instance, "instances")
                total += self.share(file)
                instances[index] = file if self.raw(file) else instance
            if total > MOST_WHOLE:
                reason = f"the files have more content together than {MOST_WHOLE} of the largest size that one may have"
                raise BodyTooLarge(reason, where="instances", fix="send several requests")

    def share(self, content: bytes | bytearray) -> float:  # noqa: ARG002 - a hook
        """Return what share of the largest size a file has by its header; 0 for a file that can't be read."""
        return 0.0

    def check_all(self, instances: Sequence[Any], places: Sequence[int]) -> list[Any]:
        """Decode all files of a batch in parallel: the libraries' decoders release the interpreter's lock."""
        if self.decoders is None or len(instances) < 2:
            return super().check_all(instances, places)
        return list(self.decoders.map(self._check_guarded, instances, places))

    def _check_guarded(self, instance: Any, place: int) -> Any:
        return guard(partial(self.check, instance, f"instances[{place}]"))

    def content(self, instance: Any, where: str) -> bytes | bytearray:
        """Return the file's bytes; raises UndecodableBody or InvalidRow."""
        instance = unwrap(instance, self.row_keys)
        if isinstance(instance, bytes | bytearray):
            return instance if self.raw(instance) else self._without_base64(instance, where)
        if not isinstance(instance, str):
            fix = f'send {{"{self.row_keys[0]}": "<base64>"}}'
            raise InvalidRow(f"expected base64 text, got {json_type(instance)}", where=where, fix=fix)
        return from_base64(instance, where)

    def _without_base64(self, content: bytes | bytearray, where: str) -> bytes | bytearray:
        """Return the file for which base64 stands, anything else as it is: some clients send it in place of bytes.

        A file of ASCII may look like base64, so what `raw` doesn't know is no file.
        """
        try:
            file = from_base64(content.decode("ascii"), where)
        except (UnicodeDecodeError, UndecodableBody):
            return content
        return file if self.raw(file) else content

    def row_schema(self) -> Schema:
        """Return the schema of a file by the first name that may stand before it."""
        return object_schema({self.row_keys[0]: BASE64}, [self.row_keys[0]])


URL_START, URL_END = "data:", ";base64"  # of what stands before the comma of a data URL (RFC 2397)
SPELLINGS = str.maketrans({"-": "+", "_": "/", **dict.fromkeys(" \t\r\n\f\v")})  # a character with None is removed


def from_base64(text: str, where: str) -> bytes:
    """Return the bytes of base64 in either alphabet, with or without padding, line breaks or a data URL's prefix.

    Raises UndecodableBody for anything else.
    """
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return _decode_leniently(text, where)


def _decode_leniently(text: str, where: str) -> bytes:
    head, _, rest = text.partition(",")  # a pattern would take a hundred times the memory of a hostile head
    is_url = head.lstrip()[: len(URL_START)].lower() == URL_START and head[-len(URL_END) :].lower() == URL_END
    plain = (rest if is_url else text).translate(SPELLINGS).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UndecodableBody("not valid base64", where=where, fix="encode the file with base64") from error
