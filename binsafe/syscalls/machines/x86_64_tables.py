"""x86-64: how jumps take their targets from tables, as compilers write them.

32-bit distances from the table, as in position-independent C: ``lea rdx, [rip + table]; movsxd rax, [rdx + rax*4];
add rax, rdx; jmp rax``. Or whole addresses, as in other C and in Go: ``jmp [rax*8 + table]``.
"""

from binsafe.syscalls.decoding.decode import Instructions, Memory, Register
from binsafe.syscalls.decoding.operands import from_text
from binsafe.syscalls.machines.arithmetic import Operation
from binsafe.syscalls.machines.machine import Constant, Entry, Moved, Source
from binsafe.syscalls.machines.x86_64_registers import general

_MOVES = frozenset({"mov", "movabs", "movq", "xchg", "pop", "jmp", "call"})
_SIGNED = {"movsxd": (Operation("sign-extend", 32),)}
_SIZES = frozenset({4, 8})
_UNREAD = Entry(0, ())


def entry(instructions: Instructions, at: int) -> Entry | None:
    """See `Machine.entry`. What is read from thread-local memory is part of a pointer (glibc's ``PTR_DEMANGLE``).

    What waited in a vector register may be a sum.
    """
    name, text = instructions.names[at], instructions.operands(at)
    operands = from_text(text)
    memory = operands[-1] if operands and isinstance(operands[-1], Memory) else None
    if memory is None or (memory.size == 8 and not memory.indexed):
        whole = (name in _MOVES and "mm" not in text) or name.startswith("cmov") or "fs:" in text
        return None if whole else _UNREAD
    if not (name in _SIGNED or name in {"mov", "jmp"}) or memory.size not in _SIZES or memory.base in {"fs", "gs"}:
        return _UNREAD
    bases, index = _bases(memory)
    return Entry(memory.size, bases, index, _SIGNED.get(name, ()))


def _bases(memory: Memory) -> tuple[tuple[Source, ...], Moved | None]:
    """Where the table may begin of which memory is an entry, and the entry's number; at -O0 either summand is one."""
    names = [each for each in (memory.base, memory.indexed) if each]
    if not memory.indexed or any(general(each)[1] != 64 for each in names):
        return (), None
    behind = _behind(memory)
    if memory.scale == 1:
        return tuple(Moved(each, behind) for each in names), None
    if memory.scale != memory.size:
        return (), None
    return (Moved(memory.base, behind) if memory.base else Constant(memory.displacement),), Moved(memory.indexed)


def summands(instructions: Instructions, at: int) -> tuple[Moved, Moved] | None:
    """See `Machine.summands`: ``add``, and ``lea`` of two registers, of which a constant goes with the first."""
    name, operands = instructions.names[at], from_text(instructions.operands(at))
    names, behind = list[str](), tuple[Operation, ...]()
    if name == "add":
        names = [each.name for each in operands if isinstance(each, Register)]
    elif name == "lea" and isinstance(memory := operands[-1], Memory) and memory.scale == 1:
        names, behind = [memory.base, memory.indexed], _behind(memory)
    whole = len(names) == 2 and all(general(each)[1] == 64 for each in names)
    return (Moved(names[0], behind), Moved(names[1])) if whole else None


def _behind(memory: Memory) -> tuple[Operation, ...]:
    """What is added to a register to make the address of memory, other registers aside."""
    return (Operation("add", memory.displacement),) if memory.displacement else ()
