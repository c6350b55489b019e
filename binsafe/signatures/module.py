"""Signatures that the kernel's ``sign-file`` appends to modules: told of, and not verified.

At the file's end stand a CMS structure, ``struct module_signature`` and a magic string
(``include/linux/module_signature.h``). The keys that it must hold under are the running kernel's, and in no file here.
"""

from binsafe.model import Signature, Slice

_MAGIC = b"~Module signature appended~\n"


def verify(slice_: Slice) -> Signature:
    """Absent for every other ELF file: no loader looks for one there."""
    if slice_.kind != "kernel-module" or bytes(slice_.data[-len(_MAGIC) :]) != _MAGIC:
        return Signature(kind="none", status="absent")
    unverified = ("a kernel module's signature, which each kernel verifies with keys of its own",)
    return Signature(kind="other", status="unknown", unverified=unverified)
