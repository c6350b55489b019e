"""A file -> its summary: the graph, and the number of every system call in it."""

from collections.abc import Container, Iterable, Iterator

import msgspec
import numpy as np

from binsafe.formats.elf_linking import Linking
from binsafe.model import Slice
from binsafe.syscalls import arguments, graph, habits, vdso
from binsafe.syscalls.code import HIGHEST_ADDRESS
from binsafe.syscalls.decisive import FUNCTIONS, decisive
from binsafe.syscalls.decode import Decoder, OutOfInstructions
from binsafe.syscalls.entries import entries
from binsafe.syscalls.machine import CALLED, Addresses, Machine
from binsafe.syscalls.patterns import (
    LISTED,
    LOADS_LIBRARIES,
    LOOKS_UP,
    WATCHED,
    asks_for_names,
    has_calls_beside,
    names_asked_for,
    places,
)
from binsafe.syscalls.program import Place, Program
from binsafe.syscalls.sets import among
from binsafe.syscalls.summary import (
    Call,
    Carried,
    Export,
    Gap,
    Given,
    Handed,
    Name,
    Passed,
    Step,
    Summary,
    Text,
    Wrapper,
    service_function,
)
from binsafe.syscalls.tables import numbers
from binsafe.syscalls.wrappers import argument

_MAX_TEXT = 200
_TEXTUAL = (*LOADS_LIBRARIES, *LOOKS_UP)
_UNMAPPED_PART = 0.05
_START_UP_CODE = 1024
"""Bytes in `crt1.o` and its like that no table mentions: much of a small program."""
_SPEAKING = frozenset({"__libc_fatal", "__fortify_fail", "__stack_chk_fail", "__chk_fail"})
_FATAL = frozenset(
    {
        "abort",
        "__stack_chk_fail",
        "__chk_fail",
        "__fortify_fail",
        "__assert_fail",
        "__assert_perror_fail",
        "__assert",
        "__libc_fatal",
    }
)


def summarise(
    slice_: Slice, linking: Linking, machine: Machine, budget: int, watched: Iterable[tuple[str, str]] = ()
) -> Summary:
    """The summary of a file; ``watched`` are (imported function, register) of which it matters what is passed.

    Always watched are those of `patterns.WATCHED`.

    Raises:
        OutOfInstructions: more than ``budget`` instructions would have to be decoded.
    """
    usual = {(name, machine.arguments[which]) for name, places in WATCHED.items() for which in places}
    program = Program(slice_, machine, Decoder(machine.arch, budget), linking)
    return _Summariser(program, linking, sorted(usual.union(watched))).summary()


def unanalysed(slice_: Slice, linking: Linking, machine: Machine, reason: str) -> Summary:
    """A file whose code was not looked at: it may call all that it imports, and make every call that there is."""
    imports = tuple(Name(s.name, s.version, copied=False) for s in linking.symbols if not s.defined and s.name)
    return Summary(
        arch=machine.arch,
        functions=1,
        starts=np.array([min(slice_.entry, HIGHEST_ADDRESS)], np.int64).tobytes(),
        firsts=np.zeros(2 + len(imports), np.int32).tobytes(),
        targets=b"",
        entry=0,
        mapped=False,
        roots=np.arange(1 + len(imports), dtype=np.int32).tobytes(),
        imports=imports,
        exports=(),
        calls=(),
        gaps=(Gap(0, slice_.entry, reason),),
        wrappers=(),
        passed=(),
        texts=(),
        fatal=(),
    )


class _Summariser:
    def __init__(self, program: Program, linking: Linking, watched: list[tuple[str, str]]) -> None:
        self.program = program
        self.linking = linking
        self.watched = watched
        self.graph = graph.build(program, linking)
        self.starts = np.concatenate([program.layout.starts, self.graph.data])
        self.calls: list[Call] = []
        self.gaps: list[Gap] = []
        self.wrappers: set[Wrapper] = set()
        self.sites: tuple[tuple[Place, frozenset[int]], ...] = ()

    def summary(self) -> Summary:
        self._resolve()
        passed = self._all_passed()
        exports = tuple(self._exports())
        texts = tuple(self._texts())
        given, carried, handed = self._arguments()
        sources, targets = self._edges(exports)
        summary = Summary(
            arch=self.program.machine.arch,
            functions=self.graph.functions,
            starts=self.starts.astype(np.int64).tobytes(),
            firsts=np.searchsorted(sources, np.arange(self.graph.nodes + 1)).astype(np.int32).tobytes(),
            targets=targets.astype(np.int32).tobytes(),
            entry=self.graph.entry,
            mapped=self._mapped(),
            roots=self.graph.roots.astype(np.int32).tobytes(),
            imports=tuple(self._imports()),
            exports=exports,
            calls=tuple(self.calls),
            gaps=tuple(self.gaps),
            wrappers=tuple(self.wrappers),
            passed=passed,
            texts=texts,
            fatal=tuple(sorted(self._fatal(exports))),
            by_kernel=() if has_calls_beside(exports) else tuple(sorted(set(vdso.calls(self.program.code)))),
            given=tuple(sorted(given, key=repr)),
            carried=tuple(sorted(carried, key=repr)),
            handed=tuple(sorted(handed, key=repr)),
        )
        return msgspec.structs.replace(summary, conditions=tuple(habits.conditions(summary)))

    def _edges(self, exports: Iterable[Export]) -> tuple[Addresses, Addresses]:
        """The graph's; of the C library without those that only list what its built-in name services do.

        ``__nss_files_functions`` and ``__nss_dns_functions`` (``nss/nss_module.h``) fill the same table that is filled
        by looking names up in a library: as there, what is called of it are the names in `patterns.asked`.
        """
        sources, targets = self.graph.sources, self.graph.targets
        if not any(export.name == "__libc_start_main" for export in exports):
            return sources, targets
        functions = [e.first for e in exports if service_function(e.name) and e.first < e.last]
        serving = among(targets, functions)
        often = np.bincount(sources[serving], minlength=self.graph.nodes) >= LISTED
        kept = ~(serving & often[sources])
        return sources[kept], targets[kept]

    def _mapped(self) -> bool:
        ends, starts = self.program.layout.ends, self.program.layout.starts
        if not self.program.slice.traits.get("pie", False):
            return False  # its code names addresses in more ways than are looked for
        missing = self.program.code.size - int(np.where(ends > 0, ends - starts, 0).sum())
        return missing <= max(_START_UP_CODE, _UNMAPPED_PART * self.program.code.size)

    def _fatal(self, exports: Iterable[Export]) -> set[int]:
        """Functions that end the program because of an error, and what glibc's print its last words with.

        Those call the nameless ``__libc_message``, as ``malloc`` does (``sysdeps/posix/libc_fatal.c``). The loader's
        words are written at once, too, by ``_dl_debug_vdprintf`` (``elf/dl-printf.c``); it has others for ``LD_DEBUG``.
        """
        named = {e.name: e.first for e in exports if e.first < e.last and e.first < self.graph.functions}
        if any(e.name == "_rtld_global" for e in exports):
            return {call.node for call in self.calls if call.number == numbers(self.program.machine.arch)["writev"]}
        found = {node for name, node in named.items() if name in _FATAL}
        speaking = [node for name, node in named.items() if name in _SPEAKING]
        said = self.graph.targets[among(self.graph.sources, speaking)]
        return found | set(said[said < self.graph.functions].tolist()) - set(named.values())

    def _function(self, address: int) -> int:
        return max(0, int(self.program.layout.containing(np.array([address]))[0]))

    def _resolve(self) -> None:
        """Find all calls; of a program that is too large for its budget as many as there was time for, and a gap.

        Raises:
            OutOfInstructions: a library is too large.
        """
        found = entries(self.program)
        self.sites = found.sites
        self.calls = [Call(self._function(n.address), n.value, n.address) for n in sorted(found.numbers)]
        self.gaps = [Gap(self._function(g.address), g.address, g.reason) for g in sorted(found.gaps)]
        for parameter in found.parameters:
            steps = tuple(Step(step.name, step.operand) for step in parameter.operations)
            self.wrappers.add(Wrapper(parameter.function, parameter.location, steps))
        if not found.whole:
            self._give_up()

    def _give_up(self) -> None:
        if self.program.slice.kind != "executable" or self.graph.entry < 0:
            raise OutOfInstructions
        gap = Gap(self.graph.entry, self.program.slice.entry, "too many instructions would have to be decoded")
        self.gaps = [*self.gaps, gap]

    def _imports(self) -> Iterator[Name]:
        copied = set(self.linking.copied.tolist())
        for index in self.graph.imports:
            symbol = self.linking.symbols[index]
            yield Name(symbol.name, symbol.version, index in copied)

    def _exports(self) -> Iterator[Export]:
        defined = [s for s in self.linking.symbols if s.defined and s.binding and s.name]
        values = np.array([s.value for s in defined], np.int64)
        ends = values + np.maximum(1, np.array([s.size for s in defined], np.int64))
        code = self.program.in_code(values)
        function = self.program.layout.exact(values)
        first = np.searchsorted(self.graph.data, values)
        last = np.searchsorted(self.graph.data, ends)
        for symbol, in_code, node, start, stop in zip(
            defined, code.tolist(), function.tolist(), first.tolist(), last.tolist(), strict=True
        ):
            span = (
                (node, node + 1)
                if in_code and node >= 0
                else (0, 0)
                if in_code
                else (start + self.graph.functions, stop + self.graph.functions)
            )
            yield Export(symbol.name, symbol.version, symbol.default, symbol.value, *span)

    def _all_passed(self) -> tuple[Passed, ...]:
        try:
            return tuple(self._passed())
        except OutOfInstructions:
            self._give_up()
        names = {self.linking.symbols[index].name for index in self.graph.imports}
        watched = (each for each in self.watched if each[0] in names)
        return tuple(Passed(name, register, self.graph.entry, 0, None) for name, register in watched)

    def _passed(self) -> Iterator[Passed]:
        names = {index: self.linking.symbols[index].name for index in self.graph.imports}
        for index, name in names.items():
            for register in (register for watched, register in self.watched if watched == name):
                slots = self.program.pointers.slots[self.program.pointers.symbols == index].tolist()
                places = [place for slot in slots for place in self.program.called_through(slot)]
                found = argument(self.program, places, register, bits=64)
                for n in found.numbers:
                    text = self._text(n.value) if name in _TEXTUAL else None
                    yield Passed(name, register, self._function(n.address), n.address, n.value, text)
                unknown = {g.address for g in found.gaps} | {a for slot in slots for a in self._taken(slot)}
                for p in found.parameters:
                    if name in _TEXTUAL:
                        unknown.add(p.function)
                    else:
                        steps = tuple(Step(step.name, step.operand) for step in p.operations)
                        self.wrappers.add(Wrapper(p.function, p.location, steps, name, register))
                yield from (Passed(name, register, self._function(a), a, None) for a in sorted(unknown))

    def _arguments(self) -> tuple[set[Given], set[Carried], set[Handed]]:
        """What is known of arguments; that nothing is where looking would take too long."""
        wanted = decisive(self.program.machine.arch, dynamic=True)
        try:
            found = arguments.at_sites(self.program, self.sites, wanted)
            handed = set(self._handed())
        except OutOfInstructions:
            unknown = {Given(c.node, c.number, at, None) for c in self.calls for at in wanted.get(c.number, ())}
            passed = {
                Handed(name, at, node, None) for node, name, _ in self._imported(FUNCTIONS) for at in FUNCTIONS[name]
            }
            return unknown, set(), passed
        given = {Given(self._function(g.address), g.number, g.argument, g.value) for g in found.given}
        carried = {
            Carried(c.function, c.register, tuple(Step(o.name, o.operand) for o in c.operations), c.number, c.argument)
            for c in found.carried
        }
        return given, carried, handed

    def _handed(self) -> Iterator[Handed]:
        """What is passed to imported functions; that it is unknown as well where such a function's address goes."""
        for _, name, slots in self._imported(FUNCTIONS):
            places = [place for slot in slots for place in self.program.called_through(slot)]
            stubs = [self.program.stubs[slot] for slot in slots if slot in self.program.stubs]
            gone = {address for stub in stubs if (address := self.program.taken_at(stub)) is not None}
            gone.update(address for slot in slots for address in self._taken(slot))
            for position in FUNCTIONS[name]:
                found = arguments.to_function(self.program, places, position)
                for address, value in found.union((address, None) for address in gone):
                    yield Handed(name, position, self._function(address), value)

    def _imported(self, names: Container[str]) -> Iterator[tuple[int, str, list[int]]]:
        """Imported functions of some names: node, name, and the slots through which they are called."""
        pointers = self.program.pointers
        for at, index in enumerate(self.graph.imports):
            name = self.linking.symbols[index].name
            if name in names:
                node = self.graph.nodes - len(self.graph.imports) + at
                yield node, name, pointers.slots[pointers.symbols == index].tolist()

    def _taken(self, slot: int) -> Iterator[int]:
        """Where an imported function's address goes further than into a call: the slot itself if into a table."""
        if not self.program.only_called(slot):
            loads = [source for source, _, use in self.program.references.into(slot, slot + 1) if use != CALLED]
            yield from loads or [slot]

    def _text(self, address: int) -> str | None:
        """The string at an address of constant memory."""
        found = self.program.slice.read(address, _MAX_TEXT).partition(b"\0")[0] if address < HIGHEST_ADDRESS else b""
        return found.decode("ascii", "replace") if found and found.isascii() else None

    def _texts(self) -> Iterator[Text]:
        """Strings that look like names of libraries, by the functions that refer to them."""
        asking = asks_for_names(self.program.slice)
        for segment in self.program.slice.segments:
            if segment.writable:
                continue
            data = bytes(self.program.slice.data[segment.offset : segment.offset + segment.file_size])
            for start, text in (*_library_names(data), *((*names_asked_for(data), *places(data)) if asking else ())):
                address = segment.address + start
                found = self.program.references.into(address, address + 1)
                yield from (Text(node, text) for node in sorted({self._function(source) for source, _, _ in found}))


def _library_names(data: bytes) -> Iterator[tuple[int, str]]:
    """Offset and text of each printable string with ``.so`` in it."""
    at = -1
    while (at := data.find(b".so", at + 1)) >= 0:
        start = data.rfind(b"\0", max(0, at - _MAX_TEXT), at) + 1
        end = data.find(b"\0", at, at + _MAX_TEXT)
        text = data[start:end] if start and end >= 0 else b""
        if text.isascii() and text.decode("ascii").isprintable() and text:
            yield start, text.decode("ascii")
