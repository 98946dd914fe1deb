"""Environment variables that aren't settings of a server."""

from __future__ import annotations

from .entry import Entry

WORKERS = "workers"
CHECKS = "workers, and commands that check archives"

VARIABLES = [
    Entry(
        *(CHECKS, "ONNXSERVE_PUBLIC_KEY", "paths between `:`", "", "none"),
        "Public keys (PEM files, or folders of them), one of which must have signed an archive; without it no "
        "signature is demanded.",
    ),
    Entry(
        *(CHECKS, "ONNXSERVE_REVOKED", "paths between `:`", "", "none"),
        "Revocation lists; what they name is not loaded.",
    ),
    Entry(
        *(CHECKS, "ONNXSERVE_IDENTITY", "path", "", "none"),
        "File of the age identity that decrypts sealed archives.",
    ),
    Entry(
        *(WORKERS, "ONNXSERVE_CONFINE", "words between `,`", "", "none"),
        "What a worker gives up before it loads an archive: `no-network`, `memory=N` (MiB of private memory) and "
        "`files=N` (open files). A check of an archive gives it up too before it runs the archive's code.",
    ),
    Entry(
        *(WORKERS, "ONNXSERVE_LOG_MESSAGES", "`1` or nothing", "", "none"),
        "`1` logs the messages of errors, which may quote clients' values.",
    ),
    Entry(
        *(WORKERS, "ONNXSERVE_MAX_RESPONSE_BYTES", "integer", "bytes", "`6553500`"),
        "Largest answer that a worker gives; `onnxserve serve` sets it to `max_response_size` of config.properties.",
    ),
    Entry(
        *(WORKERS, "ONNXSERVE_METRICS", "path", "", "none"),
        "Folder in which workers share their histograms; `onnxserve serve` sets it.",
    ),
    Entry(
        *(WORKERS, "ONNXSERVE_PREDICTIONS", "JSON", "", "none"),
        "Fields of `[predictions]` of gateway.toml for the prediction log; `onnxserve serve` sets it.",
    ),
    Entry(
        *(WORKERS, "ONNXSERVE_TRACES", "URL", "", "none"),
        "The OTLP collector of spans; `onnxserve serve` sets it to `[traces] endpoint` of gateway.toml.",
    ),
    Entry(
        *(f"{WORKERS}, `onnxserve serve`", "ONNXSERVE_FEATURES", "URL", "", '`"http://127.0.0.1:6566"`'),
        "The feature server; `onnxserve serve --features` sets it.",
    ),
    Entry(
        *("commands on a feature store", "ONNXSERVE_REDIS", "`host:port[,password=…]`", "", "none"),
        "The online store, in place of SQLite.",
    ),
    Entry(
        *("processes that check archives", "ONNXSERVE_GPU", "integer", "", "none"),
        "Number of the GPU on which an archive's handler runs outside a server; without it the CPU.",
    ),
    Entry(
        *("processes that check archives", "ONNXSERVE_PROVIDER", "`cpu`, `openvino`, `cuda` or `tensorrt`", "", "none"),
        "Execution provider on which an archive's handler runs outside a server; without it that of the GPU or CPU.",
    ),
    Entry(
        *("`onnxserve predict`, `onnxserve client`, `onnxserve batch --endpoint`", "ONNXSERVE_KEY", "text", "", "none"),
        "The API key for a gateway that demands one.",
    ),
    Entry(
        *("`onnxserve predict`", "ONNXSERVE_TOKEN", "text", "", "none"),
        "The token (JWT) for a gateway that demands one of its issuer.",
    ),
    Entry(
        *("`onnxserve export`", "ONNXSERVE_CACHE", "path", "", "`XDG_CACHE_HOME/onnxserve`"),
        "Folder of downloads.",
    ),
    Entry(
        *("`onnxserve export`, `onnxserve archive pull`", "ONNXSERVE_MAX_DOWNLOAD_GB", "number", "GB", "`50`"),
        "Most bytes of one location.",
    ),
    Entry(
        *(WORKERS, "TS_DECODE_INPUT_REQUEST", "`true` or `false`", "", "`true`"),
        "Whether the worker decodes bodies before the handler; TorchServe sets it to `decode_input_request`.",
    ),
    *(
        Entry(
            *(WORKERS, f"TS_REQUEST_SEQUENCE_{part}", "text", "", f'`"ts_request_sequence_{part.lower()}"`'),
            f"Request header with the {meaning} of a sequence, as for TorchServe's own worker.",
        )
        for part, meaning in (("ID", "id"), ("START", "start"), ("END", "end"))
    ),
]
