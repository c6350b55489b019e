"""Run by a test in a fresh interpreter: installs a filter (hex), makes calls, prints the errno of each as JSON.

Without a listener the kernel answers ENOSYS where the filter asks for the supervisor (seccomp_unotify(2)).
"""

import ctypes
import json
import os
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
PR_SET_NO_NEW_PRIVS = 38


def install(program: bytes, seccomp_number: int):
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    code = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    if libc.syscall(ctypes.c_long(seccomp_number), ctypes.c_uint(1), ctypes.c_uint(0), fprog) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def errno_of(number: int, arguments: list[int]):
    words = [ctypes.c_uint64(argument) for argument in arguments]
    ctypes.set_errno(0)
    return 0 if libc.syscall(ctypes.c_long(number), *words) >= 0 else ctypes.get_errno()


program, seccomp_number, calls = bytes.fromhex(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
install(program, seccomp_number)
os.write(1, json.dumps([errno_of(number, arguments) for number, arguments in calls]).encode())
os._exit(0)
