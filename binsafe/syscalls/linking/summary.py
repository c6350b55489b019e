"""What one library adds to any program that loads it, without its code: small, and the same for all programs.

A summary is made from the library's bytes alone, so it can be kept. It holds the graph (see `graph`), what leads into
it and out of it by name, and which functions make which calls.
"""

import sys
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import msgspec

from binsafe.syscalls.glibc import service_function
from binsafe.syscalls.linking.exports import Export, Exports


class Name(msgspec.Struct, frozen=True, array_like=True):
    """A symbol that the file asks for."""

    name: str
    version: str | None
    copied: bool
    """Whether the file holds a copy of the object (``COPY``): its own definition is not what is meant."""


class Call(msgspec.Struct, frozen=True, array_like=True):
    """A system call that a function makes; ``address`` is its site, or the call of a wrapper that passes the number."""

    node: int
    number: int
    address: int


class Gap(msgspec.Struct, frozen=True, array_like=True):
    """A place in a function that makes a call whose number could not be told."""

    node: int
    address: int
    reason: str


class Step(msgspec.Struct, frozen=True, array_like=True):
    """One step of arithmetic, see `binsafe.syscalls.machines.arithmetic.Operation`."""

    name: str
    operand: int


class Wrapper(msgspec.Struct, frozen=True, array_like=True):
    """An exported function that makes the system call whose number its caller passes in ``register``.

    One that leaves that to a function of another file (``imported``) hands the number on in ``passed_in``.
    """

    address: int
    register: str
    steps: tuple[Step, ...]
    imported: str | None = None
    passed_in: str = ""


class Passed(msgspec.Struct, frozen=True, array_like=True):
    """What a function passes in one register to an imported one; ``value`` is None where that could not be told.

    ``text`` is the string at that address, where there is one.
    """

    imported: str
    register: str
    node: int
    address: int
    value: int | None
    text: str | None = None


class Given(msgspec.Struct, frozen=True, array_like=True):
    """A value of one argument of a call that a function makes; None where it could not be told."""

    node: int
    number: int
    argument: int
    value: int | None


class Carried(msgspec.Struct, frozen=True, array_like=True):
    """An exported function whose parameter in ``register`` becomes an argument of a call after some arithmetic."""

    function: int
    register: str
    steps: tuple[Step, ...]
    number: int
    argument: int


class Handed(msgspec.Struct, frozen=True, array_like=True):
    """A value of one argument that a function passes to an imported one; None where it could not be told."""

    function: str
    argument: int
    node: int
    value: int | None


class Text(msgspec.Struct, frozen=True, array_like=True):
    """A function and a string that it refers to, of those that name files of code or are looked up in such."""

    node: int
    text: str


class Need(msgspec.Struct, frozen=True, array_like=True):
    """Met where a function of this name is reached; with ``bits``, where one of them is set in what is passed to it.

    What is passed must be watched (`glibc.WATCHED`); a value that is not known has all bits.
    """

    name: str
    bits: int | None = None


class Condition(msgspec.Struct, frozen=True, array_like=True):
    """Only if one of the needs is met, control comes from ``sources`` to ``targets`` and ``sources`` make ``calls``."""

    needs: tuple[Need, ...]
    """None at all: never."""
    sources: frozenset[int] | None
    """None: wherever it comes from."""
    targets: frozenset[int] = frozenset()
    calls: frozenset[str] = frozenset()
    absent: str | None = None
    """It holds only while nothing is at this path of the system."""


class Summary(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One file. Arrays are in this machine's byte order: 32-bit edges and roots, 64-bit addresses."""

    arch: str
    soname: str = ""
    """The name that the file gives itself as a library (``DT_SONAME``); empty where it gives none."""
    functions: int
    """Nodes below this number are functions, then come data objects, then the imports."""
    starts: bytes
    """Address of each function and data object."""
    firsts: bytes
    """For each node where its edges begin among ``targets``, and at last where they end."""
    targets: bytes
    entry: int
    """The function that starts a program; in a library nothing calls it. -1 where there is none."""
    mapped: bool
    """Whether it is position-independent, and tables say of nearly all of its code which function it belongs to."""
    roots: bytes
    imports: tuple[Name, ...]
    exports: Exports
    calls: tuple[Call, ...]
    gaps: tuple[Gap, ...]
    wrappers: tuple[Wrapper, ...]
    passed: tuple[Passed, ...]
    texts: tuple[Text, ...]
    fatal: tuple[int, ...]
    """Functions that end the program because of an error in it."""
    by_kernel: tuple[str, ...] = ()
    """Names of calls that the kernel's own code may make for it, see `binsafe.syscalls.vdso`."""
    given: tuple[Given, ...] = ()
    carried: tuple[Carried, ...] = ()
    handed: tuple[Handed, ...] = ()
    """See `binsafe.syscalls.dataflow.arguments`."""
    conditions: tuple[Condition, ...] = ()
    """Which edges and calls count on occasions only, see `binsafe.syscalls.linking.conditions`."""
    folders: tuple[str, ...] = ()
    """Folders of code that its constant strings name, see `binsafe.syscalls.linking.folders`."""
    symbolic: bool = False
    """Whether names are looked up in the file itself first, see `binsafe.formats.elf_linking`."""

    @property
    def nodes(self) -> int:
        """How many nodes the graph has."""
        return len(self.starts) // 8 + len(self.imports)

    @cached_property
    def services(self) -> Mapping[str, Sequence[Export]]:
        """Functions of a name service (``_nss_systemd_getpwnam_r``) by the name that is asked for (``getpwnam_r``)."""
        found: dict[str, list[Export]] = {}
        for export in self.exports.starting("_nss_"):
            name = service_function(export.name)
            if name is not None:
                found.setdefault(name, []).append(export)
        return found

    @cached_property
    def leads(self) -> "tuple[memoryview[int], memoryview[int]]":
        """``firsts`` and ``targets`` as numbers: of a large file millions, of which few are looked at."""
        return memoryview(self.firsts).cast("i"), memoryview(self.targets).cast("i")

    def leading_from(self, node: int) -> Sequence[int]:
        """The nodes to which one leads."""
        firsts, targets = self.leads
        return targets[firsts[node] : firsts[node + 1]]

    def leading_to(self, node: int) -> Iterator[int]:
        """The nodes that lead to one: of few it is asked, and to look for them as bytes takes hardly any time."""
        firsts, targets = self.leads
        wanted = node.to_bytes(targets.itemsize, sys.byteorder)
        at = self.targets.find(wanted)
        while at >= 0:
            if at % targets.itemsize == 0:
                yield bisect_right(firsts, at // targets.itemsize) - 1
            at = self.targets.find(wanted, at + 1)

    def addresses(self) -> "Sequence[int]":
        """Address of each function and data object."""
        return memoryview(self.starts).cast("q")

    def started(self) -> "Sequence[int]":
        """What the loader calls in every file."""
        return memoryview(self.roots).cast("i")
