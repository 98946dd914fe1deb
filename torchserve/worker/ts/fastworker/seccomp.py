"""A filter of system calls that takes the network from a process: it can only make sockets of the family AF_UNIX.

The filter needs no privilege, no namespace and no program: any process that gave up new privileges may install one,
also under the filters of systemd, Docker and Kubernetes. It also refuses the ways around it: io_uring, which makes
sockets without socket(2); taking descriptors or memory of other processes; other ABIs, whose calls have other numbers.

Sources: https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html, linux/filter.h, linux/audit.h.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import socket
from typing import NamedTuple

from .kernel import call

SET_SECCOMP, MODE_FILTER = 22, 2  # linux/prctl.h, linux/seccomp.h
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # BPF_LD+W+ABS, BPF_JMP+JEQ+K, BPF_JMP+JGE+K, BPF_RET+K
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data, little-endian
X32 = 0x40000000  # bit of the call numbers of x86-64's second ABI
IO_URING_SETUP, PIDFD_GETFD = 425, 438  # the same on all architectures


class Machine(NamedTuple):
    """An architecture's mark in linux/audit.h, and the numbers of some system calls on it."""

    mark: int
    socket: int
    ptrace: int
    process_vm_readv: int
    process_vm_writev: int


MACHINES = {
    "x86_64": Machine(0xC000003E, 41, 101, 310, 311),
    "aarch64": Machine(0xC00000B7, 198, 117, 270, 271),
}


class Instruction(ctypes.Structure):
    """struct sock_filter."""

    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_uint16), ("filter", ctypes.POINTER(Instruction)))


def only_unix_sockets(machine: Machine) -> list[tuple[int, int, int, int]]:
    """Return the filter's instructions: operation, instructions to skip if true and if false, and operand."""
    refuse, allow = (RETURN, 0, 0, ERRNO | errno.EPERM), (RETURN, 0, 0, ALLOW)
    forbidden = (machine.ptrace, machine.process_vm_readv, machine.process_vm_writev, IO_URING_SETUP, PIDFD_GETFD)
    return [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, machine.mark),
        refuse,
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, X32),
        refuse,
        *(line for number in forbidden for line in ((EQUAL, 0, 1, number), refuse)),
        (EQUAL, 1, 0, machine.socket),
        allow,
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (EQUAL, 1, 0, int(socket.AF_UNIX)),
        (RETURN, 0, 0, ERRNO | errno.EAFNOSUPPORT),
        allow,
    ]


def filter_network() -> None:
    """Install the filter for this thread and all threads and processes that it starts.

    New privileges must have been given up before. Raises OSError if the kernel or this architecture has no filter.
    """
    machine = MACHINES.get(platform.machine())
    if machine is None:
        raise OSError(errno.ENOSYS, f"no filter of system calls is known for {platform.machine()}")
    lines = only_unix_sockets(machine)
    instructions = (Instruction * len(lines))(*(Instruction(*line) for line in lines))
    program = Program(len(lines), instructions)
    call("prctl", SET_SECCOMP, MODE_FILTER, ctypes.byref(program), 0, 0)
