"""A GPU context that is lost: every later call of the process fails, so the worker must end for another to begin.

Which errors are sticky: https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html, "the process must be
terminated and relaunched".
"""

from __future__ import annotations

import logging
import os
import re
import threading

log = logging.getLogger(__name__)
STICKY = re.compile(r"CUDA (?:failure|error) (?:7(?:00|02|1[014-9]|20)|2(?:14|20)|999)\b")
ANSWER_S = 0.5  # for the batch at hand to be answered
STATUS = 1


def lost(error: BaseException) -> bool:
    """Whether the process can't use its GPU any more after this."""
    return bool(STICKY.search(str(error)))


def leave(error: BaseException) -> None:
    """End the process once the batch is answered; TorchServe then starts another worker."""
    log.critical("the GPU is lost to this process, which ends: %s", error)
    timer = threading.Timer(ANSWER_S, os._exit, (STATUS,))
    timer.daemon = True
    timer.start()
