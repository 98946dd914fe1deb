"""What each check is about, and what follows when its subject is wrong: a sentence or two for people."""

from __future__ import annotations

MEANINGS = {
    "java": "TorchServe is a Java program; without Java 11 or newer no server starts.",
    "kill": "TorchServe ends workers with this program; without it, retired versions keep their memory.",
    "torchserve": "This version of TorchServe was tested; our worker answers several times as many requests.",
    "plugin": "The plugin batches requests without a wait and shares a busy model fairly; it is optional.",
    "providers": "Models run on these processors, the first one that an archive asks for.",
    "sockets": "TorchServe's own APIs listen here; only the server's user can open them.",
    "loopback": "Whoever reaches TorchServe's management can load code, so it must not listen to other machines.",
    "gateway": "nginx takes the requests of clients here, and checks keys and limits.",
    "roles": "Roles say which version of a model answers; they are recorded, so that a restart changes nothing.",
    "model store": "`onnxserve serve` loads these archives.",
    "trust": "Keys and revocations decide which archives may be loaded.",
    "drift": "Live rows are compared with a profile of the rows that proved the model.",
    "threads": "Workers that together have more threads than the machine has CPUs slow each other down.",
    "folders": "The server reads archives from the model store, and writes logs and roles into the state folder.",
    "permissions": "Other users of this machine must not change what is served, or who may ask.",
    "run folder": "A killed server can leave processes, and a record because of which release steps ask its gateway.",
    "registration": "An archive that was being registered when the command was killed is never served.",
    "former names": "Files and variables had other names before 0.2; the next minor version no longer reads those.",
}
