"""A file -> its summary: the graph, and the number of every system call in it."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np

from binsafe.formats.elf_linking import Linking
from binsafe.model import Slice
from binsafe.syscalls import graph, sites
from binsafe.syscalls.code import HIGHEST_ADDRESS
from binsafe.syscalls.decode import Decoder
from binsafe.syscalls.machine import Machine
from binsafe.syscalls.patterns import is_covered
from binsafe.syscalls.program import Program
from binsafe.syscalls.summary import Call, Export, Gap, Name, Passed, Step, Summary, Text, Wrapper
from binsafe.syscalls.wrappers import argument, resolve

_MAX_TEXT = 200
WATCHED: Mapping[str, tuple[int, ...]] = MappingProxyType({"syscall": (0,), "dlopen": (0,), "dlmopen": (1,)})
"""Imported functions -> which of their arguments matter."""
LOADS_LIBRARIES = ("dlopen", "dlmopen")
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


def summarise(slice_: Slice, linking: Linking, machine: Machine, budget: int) -> Summary:
    """The summary of a file.

    Raises:
        OutOfInstructions: more than ``budget`` instructions would have to be decoded.
    """
    return _Summariser(Program(slice_, machine, Decoder(machine.arch, budget), linking), linking).summary()


class _Summariser:
    def __init__(self, program: Program, linking: Linking) -> None:
        self.program = program
        self.linking = linking
        self.graph = graph.build(program, linking)
        self.starts = np.concatenate([program.layout.starts, self.graph.data])
        self.calls: list[Call] = []
        self.gaps: list[Gap] = []
        self.wrappers: set[Wrapper] = set()

    def summary(self) -> Summary:
        self._resolve()
        exports = tuple(self._exports())
        return Summary(
            arch=self.program.machine.arch,
            functions=self.graph.functions,
            starts=self.starts.astype("<i8").tobytes(),
            sources=self.graph.sources.astype("<i4").tobytes(),
            targets=self.graph.targets.astype("<i4").tobytes(),
            roots=self.graph.roots.astype("<i4").tobytes(),
            imports=tuple(self._imports()),
            exports=exports,
            calls=tuple(self.calls),
            gaps=tuple(self.gaps),
            wrappers=tuple(self.wrappers),
            passed=tuple(self._passed()),
            texts=tuple(self._texts()),
            fatal=tuple(sorted({e.first for e in exports if e.name in _FATAL and e.first < self.graph.functions})),
        )

    def _function(self, address: int) -> int:
        return max(0, int(self.program.layout.containing(np.array([address]))[0]))

    def _resolve(self) -> None:
        for site in sites.find(self.program):
            found = resolve(self.program, site)
            self.calls += [Call(self._function(n.address), n.value, n.address) for n in found.numbers]
            doubtful = not sites.is_plausible(self.program, site)
            self.gaps += (
                []
                if doubtful
                else [
                    Gap(self._function(g.address), g.address, g.reason)
                    for g in found.gaps
                    if not is_covered(self.program, g)
                ]
            )
            for parameter in found.parameters:
                steps = tuple(Step(step.name, step.operand) for step in parameter.operations)
                self.wrappers.add(Wrapper(parameter.function, parameter.location, steps))

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

    def _passed(self) -> Iterator[Passed]:
        registers = self.program.machine.arguments
        names = {index: self.linking.symbols[index].name for index in self.graph.imports}
        for index, name in names.items():
            if name not in WATCHED:
                continue
            slots = self.program.pointers.slots[self.program.pointers.symbols == index].tolist()
            places = [place for slot in slots for place in self.program.called_through(slot)]
            for which in WATCHED[name]:
                found = argument(self.program, places, registers[which], bits=64)
                for n in found.numbers:
                    text = self._text(n.value) if name in LOADS_LIBRARIES else None
                    yield Passed(name, registers[which], self._function(n.address), n.address, n.value, text)
                for g in found.gaps:
                    yield Passed(name, registers[which], self._function(g.address), g.address, None)
                for p in found.parameters:
                    yield Passed(name, registers[which], self._function(p.function), p.function, None)

    def _text(self, address: int) -> str | None:
        """The string at an address of constant memory."""
        found = self.program.slice.read(address, _MAX_TEXT).partition(b"\0")[0] if address < HIGHEST_ADDRESS else b""
        return found.decode("ascii", "replace") if found and found.isascii() else None

    def _texts(self) -> Iterator[Text]:
        """Strings that look like names of libraries, by the functions that refer to them."""
        for segment in self.program.slice.segments:
            if segment.writable:
                continue
            data = bytes(self.program.slice.data[segment.offset : segment.offset + segment.file_size])
            for start, text in _library_names(data):
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
