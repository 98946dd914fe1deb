"""The archive (`.mar`): writing it reproducibly, reading it safely, checking it whole."""

from onnxserve_handlers.trust.digests import file_digest

from .check import CheckResult, check_archive
from .configure import golden_bodies, max_batch, read_config, reconfigure, threads_of
from .file import enter_store, same_content
from .manifest import manifest
from .offline import package
from .proof import read_proof
from .read import Summary, contents, open_archive, read_version, summarise, unpack
from .seal import make_identity, seal_archive
from .sign import is_signed, make_key, sign_archive
from .signature import (
    column_types,
    folder_signature,
    nullable_columns,
    read_signature,
    row_fields,
    takes_arrays,
)
from .store import Refusal, Stores, fill, refusals, writable
from .verification import check_content, check_signing, configured_keys, unpack_trusted
from .write import write_archive

__all__ = [
    "CheckResult",
    "Refusal",
    "Stores",
    "Summary",
    "check_archive",
    "check_content",
    "check_signing",
    "column_types",
    "configured_keys",
    "contents",
    "enter_store",
    "file_digest",
    "fill",
    "folder_signature",
    "golden_bodies",
    "is_signed",
    "make_identity",
    "make_key",
    "manifest",
    "max_batch",
    "nullable_columns",
    "open_archive",
    "package",
    "read_config",
    "read_proof",
    "read_signature",
    "read_version",
    "reconfigure",
    "refusals",
    "row_fields",
    "same_content",
    "seal_archive",
    "sign_archive",
    "summarise",
    "takes_arrays",
    "threads_of",
    "unpack",
    "unpack_trusted",
    "writable",
    "write_archive",
]
