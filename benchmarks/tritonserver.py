"""The real `tritonserver`, which the wheel `nvidia-pytriton` carries, and what its Python backend needs.

The backend starts a stub for one version of Python. The stub loads libpython, and imports the packages of the
environment whose `python3` comes first in PATH.
Source: https://github.com/triton-inference-server/python_backend (section "Creating Custom Execution Environments").
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

REQUIREMENT = "nvidia-pytriton==0.7.0"
NUMPY = "numpy<2"  # with a newer one the stub of this wheel loses the elements of texts
ASK = """import sys, sysconfig
print(sysconfig.get_path("purelib"), sysconfig.get_config_var("LIBDIR"), "%d.%d" % sys.version_info[:2], sep="\\n")"""


@dataclass(frozen=True)
class TritonServer:
    """The server in the environment of `python`, which has its packages in `packages` and libpython in `libraries`."""

    python: Path
    packages: Path
    libraries: Path
    version: str

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of the server's process, which the stub inherits."""
        own = self.packages / "nvidia_pytriton.libs"
        return {
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
            "LD_LIBRARY_PATH": f"{own}{os.pathsep}{self.libraries}",
        }

    def command(self, models: Path, backends: Path) -> list[str]:
        """Write the backend with the stub for this version of Python to `backends`; return the command of the server.

        Its protocols are left to the caller. `models` is a repository of models.
        """
        server, backend = self.packages / "pytriton" / "tritonserver", backends / "python"
        shutil.copytree(server / "backends" / "python", backend)
        shutil.copy(server / "python_backend_stubs" / self.version / "triton_python_backend_stub", backend)
        binary = str(server / "bin" / "tritonserver")
        return [binary, f"--model-repository={models}", f"--backend-directory={backends}", "--allow-metrics=false"]


def find_server(python: Path) -> TritonServer:
    """Return the server of an environment; RuntimeError if there is no shared libpython for its Python."""
    completed = subprocess.run([str(python), "-c", ASK], capture_output=True, text=True, check=True)
    packages, libraries, version = completed.stdout.splitlines()
    if not list(Path(libraries).glob(f"libpython{version}.so*")):
        raise RuntimeError(f"Triton's Python backend needs libpython{version}.so, and {libraries} has none")
    return TritonServer(python, Path(packages), Path(libraries), version)
