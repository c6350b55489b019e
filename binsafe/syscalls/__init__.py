"""Image -> system calls: every call that a program's own code can make, found without running it.

The stages, in the order in which they run; each file's docstring says which rule it follows.

    tables          call names and numbers, from a current kernel's list
    code            which bytes of a slice are code, and what constants the program's memory holds
    index           direct branches and computed addresses, by scanning bytes
    functions       where functions start: Go's table, unwind tables, symbols, direct calls
    decode          the only door to capstone; counts what it decodes against the budget
    machine         what the walk asks of a processor: answered by x86_64, arm64 and their ``_values``
    regions         one function decoded: control flow and stack frame
    program         all regions, and the edges between them
    sites           byte scan for the system-call instruction, confirmed by aligned decoding
    returns         which functions never return
    wrappers        the number, by a backward walk that leaves functions through their direct callers
    patterns        what the walk cannot find and the program's source says
    engine          Slice -> Syscalls
    darwin          the same for Mach-O, with `darwin_tables` (functions -> calls) and `darwin_direct` (its own sites)
    surroundings    the instructions around an address, for a reader

Importing this package is cheap: the sandbox needs `tables` on its way to starting a program.
"""

from typing import TYPE_CHECKING

from binsafe.limits import MAX_INSTRUCTIONS
from binsafe.syscalls.provider import Libraries

if TYPE_CHECKING:
    from binsafe.model import Slice, Syscalls

__all__ = ["Libraries", "analyse", "listing"]


def analyse(slice_: "Slice", *, max_instructions: int = MAX_INSTRUCTIONS) -> "Syscalls | None":
    """The system calls that a static Linux program or a macOS one can make; None for everything else.

    Pure. Any bytes give an answer: where a number could not be told, or more than ``max_instructions`` would have to be
    decoded, ``complete`` is False and ``unresolved`` says where and why.
    """
    if slice_.format == "mach-o":
        from binsafe.syscalls.darwin import analyse_macho  # noqa: PLC0415

        return analyse_macho(slice_, max_instructions=max_instructions)
    from binsafe.syscalls.engine import analyse_static  # noqa: PLC0415 - numpy and capstone only when they are needed

    return analyse_static(slice_, max_instructions=max_instructions)


def listing(slice_: "Slice", address: int, *, before: int = 4, after: int = 6) -> "tuple[str, ...]":
    """The instruction at a virtual address with those before and after it, each as ``0x401000: mov eax, 1``.

    Empty where there is no code, or code for a processor that is not known here; fewer where the code ends.
    """
    from binsafe.syscalls.surroundings import around  # noqa: PLC0415

    return around(slice_, address, before=before, after=after)
