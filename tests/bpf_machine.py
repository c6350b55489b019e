"""A classic BPF machine that runs seccomp filters, written from linux/filter.h and apart from our assembler."""

import struct
from collections.abc import Sequence

WORD = 0xFFFF_FFFF


def seccomp_data(audit_arch: int, number: int, arguments: Sequence[int]):
    """``struct seccomp_data`` of linux/seccomp.h, little-endian."""
    return struct.pack("<IIQ6Q", number & WORD, audit_arch, 0x7F00_0000_1000, *arguments)


def simulate(program: bytes, audit_arch: int, number: int, arguments: Sequence[int]):
    """The 32-bit value that the filter returns; an AssertionError where the kernel's checker would refuse it."""
    assert len(program) % 8 == 0
    code = [struct.unpack_from("<HBBI", program, i) for i in range(0, len(program), 8)]
    assert 0 < len(code) <= 4096
    data = seccomp_data(audit_arch, number, arguments)
    place, accumulator = 0, 0
    while True:
        operation, when_true, when_false, k = code[place]
        place += 1
        match operation:
            case 0x20:  # ld [k]
                assert k % 4 == 0
                assert k + 4 <= len(data)
                (accumulator,) = struct.unpack_from("<I", data, k)
            case 0x54:  # and #k
                accumulator &= k
            case 0x05:  # ja
                place += k
            case 0x15:  # jeq
                place += when_true if accumulator == k else when_false
            case 0x35:  # jge
                place += when_true if accumulator >= k else when_false
            case 0x06:  # ret
                return k
            case _:
                raise AssertionError(f"unexpected operation {operation:#x}")
