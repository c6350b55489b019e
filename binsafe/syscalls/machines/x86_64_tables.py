"""x86-64: the tables that jumps take their targets from, as compilers write them.

32-bit distances from the table, as in position-independent C: ``lea rdx, [rip + table]; movsxd rax, [rdx + rax*4];
add rax, rdx; jmp rax``. Or whole addresses, as in other C and in Go: ``jmp [rax*8 + table]``.
"""

import re
from collections.abc import Iterable
from itertools import product

from binsafe.syscalls.decoding.decode import Instructions
from binsafe.syscalls.machines import x86_64_addresses as addresses
from binsafe.syscalls.machines import x86_64_values as values
from binsafe.syscalls.machines.machine import Moved, Table

_LOOK_BACK = 8
"""Instructions before a jump through a table in which its entry is loaded."""
_INDEXED = re.compile(r"\[(?:(?P<base>r\w+) \+ )?(?P<index>r\w+)\*(?P<scale>[48])(?: \+ (?P<named>0x[0-9a-f]+))?\]")
_GENERAL = re.compile(r"\br(?:[a-ds][xip]|[bs]p|\d+)\b")
_SUM = re.compile(r"\[r\w+(?: \+ r|\*)")


def table(instructions: Instructions, at: int, straight: int, through: str | None = None) -> Table | None:
    """See `Machine.table`: what else loads with an index, or adds, on the way to the jump is a table that is unread."""
    leading = _leading_to(instructions, at, straight, through)
    for loading in leading:
        found = _INDEXED.search(instructions.operands(loading))
        if found is not None and instructions.names[loading] in {"jmp", "mov", "movsxd"}:
            base, named, relative = found["base"], found["named"], found["scale"] == "4"
            bases = (
                []
                if base and named
                else [int(named, 16)]
                if named
                else _computed(instructions, base, straight, loading)
            )
            origins = _origins(instructions, leading, straight, loading, base) if relative else []
            places = (*((each, each if relative else 0) for each in bases), *product(bases, origins))
            return Table(places, 4 if relative else 8, chosen=(loading, Moved(found["index"])))
    if not any(instructions.names[each] == "add" or _SUM.search(instructions.operands(each)) for each in leading):
        return None
    return Table(tuple((each, each) for each in _loaded(instructions, leading)), 4)  # of compilers that do not optimise


def _leading_to(instructions: Instructions, at: int, straight: int, through: str | None) -> list[int]:
    """The indices of an indirect jump and those shortly before it that made the value it jumps to, the last first."""
    leading = [at] if through is None else []
    wanted = set(_GENERAL.findall(instructions.operands(at) if through is None else through))
    for before in range(at - 1, max(straight, at - _LOOK_BACK) - 1, -1):
        first, _, rest = instructions.operands(before).partition(", ")
        if first in wanted and instructions.names[before] not in values.COMPARES:
            leading.append(before)
            wanted.update(_GENERAL.findall(rest))
    return leading


def _origins(
    instructions: Instructions, leading: Iterable[int], straight: int, loading: int, base: str | None
) -> list[int]:
    """The addresses from which distances may count, where another register is added to them than the table's own.

    As in glibc's ``printf`` before 2.33: ``&&label - &&origin``.
    """
    loaded = instructions.operands(loading).partition(", ")[0]
    adding = (at for at in leading if instructions.names[at] == "add")
    added = ((at, other) for at in adding for other in {*instructions.operands(at).split(", ")} - {loaded})
    others = (
        (at, other)
        for at, other in added
        if other != base or not all(values.keeps(instructions, index, base) for index in range(loading, at))
    )
    return [each for at, other in others for each in _computed(instructions, other, straight, at)]


def _computed(instructions: Instructions, register: str, straight: int, before: int) -> list[int]:
    """The addresses that ``lea`` gives a register on the only way; all that the function gives it where none does.

    Also where it is a copy of others, as one of two tables is chosen (``lea rcx, [one]; ...; cmove rax, rcx``); none
    where such a copy was loaded from memory.
    """
    settings = instructions.by_first_operand("lea")
    wanted, unknown, found = {register}, set[str](), set[int]()
    for at in range(before - 1, straight - 1, -1):
        for each in [each for each in wanted if not values.keeps(instructions, at, each)]:
            source = instructions.operands(at).partition(", ")[2]
            if at in settings.get(each, ()):
                found.add(at)
                wanted.discard(each)
            elif _GENERAL.fullmatch(source) and instructions.names[at].startswith(("mov", "cmov")):
                wanted.add(source)
                wanted -= {each} if instructions.names[at] == "mov" else set()
            else:
                wanted.discard(each)
                unknown.add(each)
        if not wanted:
            break
    if unknown - {register} or not all(each in settings for each in wanted):
        return []
    found.update(at for each in wanted | unknown for at in settings.get(each, ()))
    return _loaded(instructions, sorted(found))


def _loaded(instructions: Instructions, indices: Iterable[int]) -> list[int]:
    """The addresses that those of them name that are ``lea``."""
    return addresses.relative(instructions[at] for at in indices if instructions.names[at] == "lea")
