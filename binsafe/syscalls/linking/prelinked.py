"""A program that was linked with its interpreter at fixed addresses, as those of klibc are (``klibc/README.klibc``).

The kernel maps both and starts the interpreter, which is the C library; nobody links anything: calls lead from one file
into the other by their addresses. So each address is a name here. The program wants all that it names outside of
itself; the interpreter exports its instructions, and each stands for the function that holds it. All words of data that
are an address of code count as called, as in every program that is not position-independent.

Addresses are those that decoded instructions name, as constants or from their own. That is enough for x86-64 alone.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec
import numpy as np

from binsafe.model import Slice, Symbol
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.decoding.code import Code, aligned_words
from binsafe.syscalls.decoding.decode import JUNK, Decoder, OutOfInstructions
from binsafe.syscalls.entries import entries, unwritten
from binsafe.syscalls.linking.exports import Exports
from binsafe.syscalls.linking.summary import Call, Gap, Name, Summary
from binsafe.syscalls.machines.machine import Machine
from binsafe.syscalls.sets import distinct

_ARCH = "x86_64"
_CONSTANT = re.compile(r"\b0x[0-9a-f]+")
_LOWEST = 1 << 12
"""The kernel maps nothing below (``vm.mmap_min_addr``)."""
_HIGHEST = 1 << 47
_FIXED = "at fixed addresses"
"""What such an interpreter exports beside its addresses: no symbol has spaces in its name."""


def is_met(interpreter: Summary | None) -> bool:
    """Whether an interpreter was summarised here, and so says what its addresses are."""
    return interpreter is not None and _FIXED in interpreter.exports


def of_interpreter(slice_: Slice, machine: Machine, budget: int) -> Summary | None:
    """The summary of an interpreter that has no dynamic section; None where it cannot be analysed."""
    fixed = slice_.system == "linux" and slice_.arch == _ARCH and not slice_.traits.get("pie", False)
    try:
        return _interpreter(slice_, machine, Decoder(machine.arch, budget)) if fixed else None
    except OutOfInstructions:
        return None


def _interpreter(slice_: Slice, machine: Machine, decoder: Decoder) -> Summary:
    whole = _decoded(slice_, machine, decoder)
    begun = tuple(Symbol(name="", address=at) for region in whole for at in _functions(region))
    slice_ = msgspec.structs.replace(slice_, symbols=(*slice_.symbols, *begun), linkage="dynamic")  # others call it
    program = Program(slice_, machine, decoder)
    layout = program.layout
    ways = {way for region in whole for way in (*_named(region), *_falls(region, layout.starts.tolist()))}
    sources, targets = np.array(sorted(ways), np.int64).reshape(-1, 2).T
    inside = program.code.holds(targets)
    sources, targets = layout.containing(sources[inside]), layout.containing(targets[inside])
    addresses = np.array([at for region in whole for at in region.instructions.addresses], np.int64)
    nodes = layout.containing(addresses)
    return msgspec.structs.replace(
        _summary(program, whole),
        functions=len(layout.starts),
        starts=layout.starts.tobytes(),
        firsts=np.searchsorted(sources, np.arange(len(layout.starts) + 1)).astype(np.int32).tobytes(),
        targets=targets.astype(np.int32).tobytes(),
        entry=layout.function(slice_.entry),
        roots=distinct(layout.containing(program.pointers.targets)).astype(np.int32).tobytes(),
        exports=Exports.of_columns(
            [*map(hex, addresses.tolist()), _FIXED],
            [(None, True)] * (len(addresses) + 1),
            addresses=np.concatenate([addresses, [0]]).tobytes(),
            firsts=np.concatenate([nodes, [0]]).astype(np.int32).tobytes(),
            lasts=np.concatenate([nodes + 1, [0]]).astype(np.int32).tobytes(),
        ),
    )


def of_program(slice_: Slice, machine: Machine, budget: int) -> Summary:
    """The summary of a program that names the addresses of its interpreter.

    Raises:
        OutOfInstructions: more than ``budget`` instructions would have to be decoded.
    """
    decoder = Decoder(machine.arch, budget)
    whole = _decoded(slice_, machine, decoder)
    program = Program(slice_, machine, decoder)
    named = {address for region in whole for _, address in _named(region)}
    loaded = (slice_.data[segment.offset :][: segment.file_size] for segment in slice_.segments)
    words = (words for data in loaded for _, words in aligned_words(data))
    named.update(word for each in words for word in each[(each >= _LOWEST) & (each < _HIGHEST)].tolist())
    wanted = sorted(each for each in named if not _holds(slice_, each))
    imports = tuple(Name(hex(address), None, copied=False) for address in wanted)
    return msgspec.structs.replace(
        _summary(program, whole),
        starts=np.array([slice_.entry], np.int64).tobytes(),
        firsts=np.zeros(2 + len(imports), np.int32).tobytes(),
        roots=np.arange(1 + len(imports), dtype=np.int32).tobytes(),
        imports=imports,
    )


def _summary(program: Program, whole: list[Region]) -> Summary:
    """What the two have in common: their own calls, and what could not be told."""
    found = entries(program)
    function, entry = program.layout.function, program.slice.entry
    reasons = [*unwritten(program.slice)]
    reasons += ["too many instructions would have to be decoded"] if not found.whole else []
    reasons += ["not all of its code is instructions"] if any(JUNK in each.instructions.names for each in whole) else []
    gaps = [*((g.address, g.reason) for g in found.gaps), *((entry, reason) for reason in reasons)]
    return Summary(
        arch=program.machine.arch,
        functions=1,
        starts=b"",
        firsts=b"",
        targets=b"",
        entry=0,
        mapped=False,
        roots=b"",
        imports=(),
        exports=Exports(),
        calls=tuple(Call(function(n.address), n.value, n.address) for n in sorted(found.numbers)),
        gaps=tuple(Gap(function(address), address, reason) for address, reason in sorted(gaps)),
        wrappers=(),
        passed=(),
        texts=(),
        fatal=(),
    )


def _decoded(slice_: Slice, machine: Machine, decoder: Decoder) -> list[Region]:
    """All code, each range as one piece."""
    ranges = Code(slice_).ranges
    return [Region(machine, r.address, decoder.sweep(bytes(r.data), r.address), anchored=True) for r in ranges]


def _functions(region: Region) -> Iterator[int]:
    """Where functions begin: behind what does not go on, with the padding there, and where no jump leads."""
    return (region.instructions.addresses[at] for at in region.orphans)


def _named(region: Region) -> Iterator[tuple[int, int]]:
    """(instruction, address) of what instructions lead to, or name."""
    for at, address in enumerate(region.instructions.addresses):
        operands = region.instructions.operands(at)
        own = region.machine.named(region.instructions, at, at) if "[rip" in operands else ()
        constants = (int(constant, 16) for constant in _CONSTANT.findall(operands))
        yield from ((address, each) for each in chain(constants, own) if _LOWEST <= each < _HIGHEST)


def _falls(region: Region, starts: Iterable[int]) -> Iterator[tuple[int, int]]:
    """(source, target) where control goes on from one function into the next."""
    for start in starts:
        at = region.at(start)
        if at and region.falls_through(at - 1):
            yield region.instructions.addresses[at - 1], start


def _holds(slice_: Slice, address: int) -> bool:
    return any(each.address <= address < each.address + each.memory_size for each in slice_.segments)
