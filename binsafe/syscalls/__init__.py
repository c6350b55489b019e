"""Image -> system calls: every call that a program can make, itself or through its libraries, without running it.

The stages, in the order in which they run; each file's docstring says which rule it follows.

  one file:
    tables          call names and numbers, from a current kernel's list
    code            which bytes of a slice are code, and what constants the program's memory holds
    index           direct branches, and instructions that name addresses, by scanning bytes
    pointers        what memory points to before the program starts: relocations, or words
    layout          where functions start and end: Go's table, unwind tables, symbols, calls
    decode          bytes -> ``instructions``, counted against the budget
    capstone_library, capstone_package   the doors to capstone
    operands        what instructions work with, read from their text
    machine         what the walk asks of a processor: answered by x86_64, arm64 and their ``_values``
    regions         one function decoded: control flow and stack frame
    places          one instruction, and how control comes from one to another
    switches        where jump tables lead
    incoming        where control comes from into a region
    program         all of that together
    sites           byte scan for the system-call instruction, confirmed by aligned decoding
    returns         which functions never return
    registers       functions whose address a register holds, only to call them
    backward        one step back: where what a register or stack slot holds came from
    wrappers        the number, by a backward walk that leaves functions through their callers
    arguments       the same for arguments, of those calls and functions that `decisive` lists
    vdso            calls that the kernel's code in user space makes for the program
    fallbacks       code that runs only where the kernel does not know a call before it
    entries         sites, numbers and gaps, without such code
    go              what Go's runtime and library do on occasions only; `ways` and `go_attributes` are its proofs
    untaken         ways that are never taken, in programs without names; `passes` is the proof
    patterns        what the walk cannot find and the program's source says
  a file that is linked with others:
    graph           functions and tables of pointers, and what each of them can lead to
    outgoing        what it passes to functions of other files
    texts           names of files and functions that it looks up at run time
    summarising     Slice -> Summary (``summary``): all of the above in a form that can be kept
    passing         numbers that one file passes to a wrapper in another
    composing       Summaries -> one graph, names bound as the dynamic linker binds them (``reach``: what can run)
    conditions      edges and calls that count on occasions only
    habits          those of known libraries, and what such libraries do through memory
    judging         what is proved of arguments by all that the files say
    conventions     what summaries need to know of a processor
    provider        where the libraries come from: the outside world, passed in
  results:
    static, dynamic  Slice -> Syscalls
    services         what a static program loads nevertheless
    engine           which of them
    darwin          the same for Mach-O, with `darwin_tables` (functions -> calls) and `darwin_direct` (its own sites)
  for a reader:
    surroundings    the instructions around an address

Importing this package is cheap: the sandbox needs `tables` on its way to starting a program.
"""

import hashlib
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from binsafe.lazy import lazily
from binsafe.limits import MAX_INSTRUCTIONS

if TYPE_CHECKING:
    from binsafe.formats.gopclntab import FunctionTable
    from binsafe.model import Slice, Syscalls
    from binsafe.syscalls.provider import Libraries, Member
    from binsafe.syscalls.summary import Summary

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

__getattr__ = lazily(__name__, {"Libraries": "provider", "Member": "provider", "Summary": "summary"})


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
        from binsafe.syscalls.darwin import analyse_macho  # noqa: PLC0415

        return analyse_macho(slice_, max_instructions=max_instructions)
    from binsafe.syscalls import engine  # noqa: PLC0415 - numpy and capstone only when they are needed

    return engine.analyse(slice_, libraries, max_instructions=max_instructions, explain=explain, go=go)


def analyse_known(libraries: "Libraries", *, explain: str | None = None) -> "Syscalls":
    """`analyse` for a dynamic program of which ``libraries`` has a summary that was kept: its bytes are not needed.

    Raises:
        NotKept: a library asks for more than what was asked before.
    """
    from binsafe.syscalls.dynamic import analyse_dynamic  # noqa: PLC0415

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
    from binsafe.syscalls import engine  # noqa: PLC0415 - as above

    return engine.summarise_library(data, watched)


@cache
def engine_version() -> str:
    """A name for what this version of the analysis finds: the hash of its own source."""
    folder = Path(__file__).parent
    files = sorted([*folder.glob("*.py"), *folder.parent.joinpath("formats").glob("*.py")])
    digest = hashlib.sha256(sys.byteorder.encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def listing(slice_: "Slice", address: int, *, before: int = 4, after: int = 6) -> "tuple[str, ...]":
    """The instruction at a virtual address with those before and after it, each as ``0x401000: mov eax, 1``.

    Empty where there is no code, or code for a processor that is not known here; fewer where the code ends.
    """
    from binsafe.syscalls.surroundings import around  # noqa: PLC0415

    return around(slice_, address, before=before, after=after)
