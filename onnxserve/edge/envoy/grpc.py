"""V2 over gRPC: Envoy turns messages into the JSON that protobuf defines for them, and answers back.

Sources: https://github.com/kserve/open-inference-protocol (open_inference_grpc.proto),
https://protobuf.dev/programming-guides/json/ and
https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/grpc_json_reverse_transcoder_filter.
"""

from __future__ import annotations

import base64
from importlib.resources import files
from typing import TYPE_CHECKING

from onnxserve.edge.intent import Intent
from onnxserve.errors import EdgeError

from .auth import open_to_all
from .typed import Resource, extension, header, seconds

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

ROOT = "/v2/grpc"  # as `inference.txtpb` says
MEDIA = "application/x-protobuf+json"  # tells nginx and handlers how to answer
NOBODY = "none"  # a Host that names no archive
SERVICE = files(__package__) / "inference.txtpb"


def transcoder(intent: Intent) -> Resource:
    """The filter. A tensor grows by a third as JSON, and `limits.body_bytes` bounds that too."""
    return extension(
        "envoy.filters.http.grpc_json_reverse_transcoder",
        "envoy.extensions.filters.http.grpc_json_reverse_transcoder.v3.GrpcJsonReverseTranscoder",
        descriptor_binary=base64.b64encode(described().SerializeToString(deterministic=True)).decode(),
        max_request_body_size=intent.limits.body_bytes,
        max_response_body_size=2 * intent.limits.body_bytes,
        # A version that the client left empty must still be there: the path is made of it.
        request_json_print_options={"always_print_primitive_fields": True},
    )


def described() -> FileDescriptorSet:
    """The service, after everything that it imports; EdgeError where the extra isn't installed."""
    try:
        from google.api import annotations_pb2, http_pb2
        from google.protobuf import descriptor_pb2, text_format
    except ModuleNotFoundError as error:
        raise EdgeError(f"{error.name} is not installed", fix="pip install 'onnxserve[edge]'") from error
    service = text_format.Parse(SERVICE.read_text(encoding="utf-8"), descriptor_pb2.FileDescriptorProto())
    found = descriptor_pb2.FileDescriptorSet()
    for imported in (descriptor_pb2, http_pb2, annotations_pb2):
        found.file.add().ParseFromString(imported.DESCRIPTOR.serialized_pb)
    found.file.append(service)
    return found


def calls(name: str, version: str, path: str, answer: Resource, look: Resource) -> list[Resource]:
    """What a client may call of one model; a version that it left empty stands between two slashes."""
    root = f"{ROOT}/models/{name}/versions/{version}"
    return [call(root + verb, path + verb, how) for verb, how in (("/infer", answer), ("/ready", look), ("", look))]


def call(called: str, path: str, how: Resource) -> Resource:
    """A call, which goes where `path` goes."""
    marked = [*how.get("request_headers_to_add", []), header("content-type", MEDIA)]
    action = how["route"] | {"prefix_rewrite": path}
    return {**how, "match": {"path": called}, "route": action, "request_headers_to_add": marked}


def server(intent: Intent, ready: Resource) -> list[Resource]:
    """Calls about the server, and the end of all others; Envoy's own answers would be errors to a client."""
    here: Resource = {"route": {"cluster": "nginx", "host_rewrite_literal": NOBODY, "timeout": seconds(1)}}
    return [
        call(f"{ROOT}/ready", "/v2/health/ready", ready) | open_to_all(intent),
        call(f"{ROOT}/live", f"{ROOT}/live", here) | open_to_all(intent),
        call(ROOT, ROOT, here),
        {**call(ROOT, ROOT, here), "match": {"prefix": f"{ROOT}/"}, "route": here["route"]},
    ]
