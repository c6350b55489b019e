"""Image -> system calls: every call that a program can make, itself or through its libraries, without running it.

`analyse` takes a Slice, and the `Libraries` of a program that is linked with some, and gives Syscalls. Which way that
goes:

    engine      chooses for ELF: static or dynamic
    static      a file that is linked with nothing          ``services``: what glibc loads into such a file nevertheless
    dynamic     a program with its libraries
    darwin      Mach-O: the calls behind what it imports, and its own

What is done with each ELF file. A stage imports those above it only, and import-linter holds it to that:

    decoding    bytes -> instructions, counted against a budget
    machines    what an instruction means: one interface, two processors
    controlflow functions, the branches inside of them and the edges between them
    dataflow    places that enter the kernel -> the numbers and arguments that they can be given
    pruning     those numbers without the calls that never happen, each rule with its proof
    entries     runs all of these stages -> what one file asks of the kernel

What comes of that: `static` names the numbers of its one file. For `dynamic`, linking makes a Summary of each file,
which can be kept, then one graph of all summaries; calls count that can be reached in it.

What all of them know:

    tables, conventions   call names and numbers from a current kernel's list; registers
    vdso                  calls that the kernel's code in user space makes for the program
    glibc                 what the C library loads and looks up by itself
    sets                  sorted arrays of numbers

Importing this package is cheap: the sandbox needs `tables` on its way to starting a program.
"""

import contextlib
import hashlib
import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from binsafe.lazy import lazily
from binsafe.limits import MAX_INSTRUCTIONS

if TYPE_CHECKING:
    from binsafe.formats.gopclntab import FunctionTable
    from binsafe.model import Slice, Syscalls
    from binsafe.syscalls.linking.provider import Libraries, Member
    from binsafe.syscalls.linking.summary import Summary

__all__ = [
    "Libraries",
    "Member",
    "NotKept",
    "Summary",
    "analyse",
    "analyse_known",
    "engine_version",
    "listing",
    "summarise_library",
]

__getattr__ = lazily(
    __name__, {"Libraries": "linking.provider", "Member": "linking.provider", "Summary": "linking.summary"}
)


def analyse(
    slice_: "Slice",
    libraries: "Libraries | None" = None,
    *,
    max_instructions: int = MAX_INSTRUCTIONS,
    explain: str | None = None,
    go: "FunctionTable | None" = None,
) -> "Syscalls | None":
    """The system calls that a Linux or macOS program for x86-64 or arm64 can make; None for everything else.

    ``libraries`` are those of a dynamic program; without them nothing is said of one. ``explain`` is the name of a call
    whose way from the entry point is wanted; ``go`` is Go's own table of functions, where somebody has read it already.

    Pure. Any bytes give an answer: where a number could not be told, or more than ``max_instructions`` would have to be
    decoded, ``complete`` is False and ``unresolved`` says where and why.
    """
    if slice_.format == "mach-o":
        from binsafe.syscalls.darwin.analysing import analyse_macho

        return analyse_macho(slice_, max_instructions=max_instructions)
    if libraries is not None:
        with contextlib.suppress(NotKept):
            return analyse_known(libraries, explain=explain)
    from binsafe.syscalls import engine  # numpy and capstone only when they are needed

    return engine.analyse(slice_, libraries, max_instructions=max_instructions, explain=explain, go=go)


def analyse_known(libraries: "Libraries", *, explain: str | None = None) -> "Syscalls":
    """`analyse` for a dynamic program of which ``libraries`` has a summary that was kept: its bytes are not needed.

    Raises:
        NotKept: a library asks for more than what was asked before.
    """
    from binsafe.syscalls.dynamic import analyse_dynamic

    return analyse_dynamic(lambda watched: libraries.program(watched, _not_kept), libraries, explain=explain)


class NotKept(Exception):
    """What is asked of a program was not found out before: it has to be analysed again."""


def _not_kept() -> "Summary":
    raise NotKept


def summarise_library(data: memoryview, watched: frozenset[tuple[str, str]] = frozenset()) -> "Summary | None":
    """The summary of a library's bytes; None for what is no library that is analysed.

    ``watched`` are (imported function, register): what else than usual is to be found out about its calls.

    Raises:
        NotAnalysable: the file is malformed.
    """
    from binsafe.syscalls import engine

    return engine.summarise_library(data, watched)


@cache
def engine_version() -> str:
    """A name for what this version of the analysis finds: the hash of its own source, its tables, words and limits."""
    package = Path(__file__).parents[1]
    walks = (os.walk(package / name) for name in ("syscalls", "formats", "model"))  # in half the time that paths take
    files = [f"{place}/{name}" for walk in walks for place, _, names in walk for name in names]
    digest = hashlib.sha256(sys.byteorder.encode())
    for file in sorted(file for file in (*files, f"{package}/limits.py") if file.endswith((".py", ".json"))):
        with open(file, "rb", buffering=0) as source:  # noqa: PTH123 - as above
            digest.update(source.read())
    return digest.hexdigest()[:16]


def listing(slice_: "Slice", address: int, *, before: int = 4, after: int = 6) -> "tuple[str, ...]":
    """The instruction at a virtual address with those before and after it, each as ``0x401000: mov eax, 1``.

    Empty where there is no code, or code for a processor that is not known here; fewer where the code ends.
    """
    from binsafe.syscalls.decoding.surroundings import around

    return around(slice_, address, before=before, after=after)
