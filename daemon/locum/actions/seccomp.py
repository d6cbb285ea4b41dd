"""The system calls that a tool may not make, as the kernel's filter program.

Belt and braces beside namespaces: what no ordinary program needs, and attackers do.
"""

from __future__ import annotations

import errno
import platform
import struct

_LOAD, _EQUAL, _AND_SET, _RETURN = 0x20, 0x15, 0x45, 0x06  # BPF: ld abs, jeq, jset, ret.
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # Offsets in struct seccomp_data.
_NEW_USER = 0x10000000
_X32 = 0x40000000

# name: (x86_64, aarch64), from the kernel's tables; None where there is no such call.
_REFUSED: tuple[tuple[int | None, int | None], ...] = (
    (101, 117),  # ptrace
    (310, 270),  # process_vm_readv
    (311, 271),  # process_vm_writev
    (248, 217),  # add_key
    (249, 218),  # request_key
    (250, 219),  # keyctl
    (298, 241),  # perf_event_open
    (321, 280),  # bpf
    (323, 282),  # userfaultfd
    (425, 425),  # io_uring_setup
    (426, 426),  # io_uring_enter
    (427, 427),  # io_uring_register
    (304, 265),  # open_by_handle_at
    (272, 97),  # unshare
    (308, 268),  # setns
    (165, 40),  # mount
    (166, 39),  # umount2
    (155, 41),  # pivot_root
    (161, 51),  # chroot
    (428, 428),  # open_tree
    (429, 429),  # move_mount
    (430, 430),  # fsopen
    (442, 442),  # mount_setattr
    (246, 104),  # kexec_load
    (320, 294),  # kexec_file_load
    (175, 105),  # init_module
    (313, 273),  # finit_module
    (167, 224),  # swapon
    (169, 142),  # reboot
    (103, 116),  # syslog
    (163, 89),  # acct
    (135, 92),  # personality
    (212, 18),  # lookup_dcookie
    (279, 239),  # move_pages
    (237, 235),  # mbind
    (172, None),  # iopl
    (173, None),  # ioperm
    (154, None),  # modify_ldt
    (134, None),  # uselib
)
_MACHINES = {"x86_64": (0xC000003E, 0, 56, 435), "aarch64": (0xC00000B7, 1, 220, 435)}


def tool_filter(machine: str = "") -> bytes | None:
    """Answer the filter for this machine (or another); None where none is known for it.

    What is refused fails with EPERM; clone3 with ENOSYS, whose flags no filter can see, so that
    the C library takes clone.
    """
    known = _MACHINES.get(machine or platform.machine())
    if known is None:
        return None
    architecture, column, clone, clone3 = known
    refused = [numbers[column] for numbers in _REFUSED]
    program = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, architecture, yes=1),
        _step(_RETURN, _ERRNO | errno.EPERM),  # 32-bit calls would have other numbers.
        _step(_LOAD, _NUMBER),
        _step(_AND_SET, _X32, no=1),
        _step(_RETURN, _ERRNO | errno.EPERM),
    ]
    for number in refused:
        if number is not None:
            program += [
                _step(_EQUAL, number, no=1),
                _step(_RETURN, _ERRNO | errno.EPERM),
            ]
    program += [
        _step(_EQUAL, clone3, no=1),
        _step(_RETURN, _ERRNO | errno.ENOSYS),
        _step(_EQUAL, clone, no=3),
        _step(_LOAD, _FIRST_ARGUMENT),
        _step(_AND_SET, _NEW_USER, no=1),
        _step(_RETURN, _ERRNO | errno.EPERM),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(program)


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """One instruction; `yes` and `no` are how many are passed over, by the outcome."""
    return struct.pack("=HBBI", code, yes, no, value)
