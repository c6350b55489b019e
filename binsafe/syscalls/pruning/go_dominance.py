"""Dominance in Go's call graph: does every path to a function lead through certain others?"""

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from binsafe.syscalls.controlflow.program import Program

_MAX_FUNCTIONS = 64
"""Of a function to which so many lead it is not asked."""
_SCANNED_BYTES = 1 << 11
"""Bytes of memory that are searched while one instruction is decoded, roughly."""
_PLAIN = re.compile(r"(?:.*/)?[^./]+\.\w+(?:\.(?:func|gowrap|deferwrap)?\d+)*")
"""``package.function`` and the closures inside of it; methods have a name more."""


def only_through(program: Program, address: int, gates: AbstractSet[str]) -> bool:
    """Whether nothing leads to the code at an address but by way of the functions of these names.

    Followed back are calls, jumps and instructions that name a function, or the word of memory that holds its address
    (a function as a value), or a variable that was initialised with that. All else counts as a way of its own: the
    start of the program, words in tables, methods, of which Go's run-time types hold no address but a distance.
    """
    first = program.go_function(address)
    seen: set[int] = set()
    work = [first]
    while work:
        function = work.pop()
        if function in seen:
            continue
        if function is None or len(seen) > _MAX_FUNCTIONS:
            return False
        seen.add(function)
        if program.go_name(function) in gates:
            continue
        leading = leading_to(program, function)
        if not leading:  # nothing that is known: who links it knows of something
            return False
        work += leading
    return True


def leading_to(program: Program, function: int) -> set[int | None]:
    """Where the functions start that lead to one, itself left out; None among them for something unknown."""
    name = program.go_name(function)
    if name is None or _PLAIN.fullmatch(name) is None or function == program.go_function(program.slice.entry):
        return {None}
    found = {program.go_function(source) for source in _naming(program, function)}
    for value in program.pointers.to(function):
        variables = _holding(program, value)
        named = {program.go_function(source) for source in _naming(program, value)}
        found |= named.union(*(_users(program, place) for place in variables)) if named or variables else {None}
    return found - {function}


def _users(program: Program, place: int) -> set[int | None]:
    """Functions that name a word of memory; None among them for something unknown, or if none does."""
    found = {program.go_function(source) for source in _naming(program, place)}
    return found if found and not _holding(program, place) else {None}


def _holding(program: Program, address: int) -> list[int]:
    """Words of memory that hold an address, of themselves or once the loader has relocated them."""
    program.decoder.spend(program.code.loaded_size // _SCANNED_BYTES)
    return [*program.code.words(address), *program.pointers.to(address)]


def _naming(program: Program, address: int) -> Iterator[int]:
    """Places of code that call, jump to or name an address; some are bytes that only look like it."""
    for index in (program.calls, program.jumps):
        yield from (source for source, _ in index.into(address, address + 1))
    yield from program.taken.naming(address, address + 1)
