"""Run by `enforcing`: installs a filter (a file) and becomes a program: ``under_filter.py FILTER PROGRAM [ARG...]``."""

import ctypes
import os
import platform
import struct
import sys
from pathlib import Path

PR_SET_NO_NEW_PRIVS, SECCOMP_SET_MODE_FILTER = 38, 1
SECCOMP = {"x86_64": 317, "aarch64": 277}[platform.machine()]

code = Path(sys.argv[1]).read_bytes()
libc = ctypes.CDLL(None, use_errno=True)
kept = ctypes.create_string_buffer(code, len(code))
program = struct.pack("@HP", len(code) // 8, ctypes.addressof(kept))
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
    raise OSError(ctypes.get_errno(), "prctl")
if libc.syscall(ctypes.c_long(SECCOMP), ctypes.c_uint(SECCOMP_SET_MODE_FILTER), ctypes.c_uint(0), program):
    raise OSError(ctypes.get_errno(), "seccomp")
os.execv(sys.argv[2], sys.argv[2:])
