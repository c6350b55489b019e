"""A file -> its summary: the graph, and the number of every system call in it."""

from collections.abc import Iterator
from functools import cached_property

import msgspec
import numpy as np

from binsafe.formats.elf_linking import Linking
from binsafe.formats.gopclntab import FunctionTable
from binsafe.model import Slice
from binsafe.syscalls import vdso
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.dataflow import arguments
from binsafe.syscalls.dataflow.decisive import decisive
from binsafe.syscalls.dataflow.sites import Site
from binsafe.syscalls.decoding.code import HIGHEST_ADDRESS
from binsafe.syscalls.decoding.decode import Decoder, OutOfInstructions
from binsafe.syscalls.entries import entries, unwritten
from binsafe.syscalls.glibc import WATCHED, service_function
from binsafe.syscalls.linking import graph, known_libraries
from binsafe.syscalls.linking.c_library import has_calls_beside
from binsafe.syscalls.linking.exports import Exports
from binsafe.syscalls.linking.folders import folders
from binsafe.syscalls.linking.outgoing import Outgoing
from binsafe.syscalls.linking.passing import Watched
from binsafe.syscalls.linking.summary import (
    Call,
    Carried,
    Gap,
    Given,
    Handed,
    Name,
    Passed,
    Step,
    Summary,
    Wrapper,
)
from binsafe.syscalls.linking.texts import texts
from binsafe.syscalls.machines.edges import Addresses
from binsafe.syscalls.machines.machine import Machine
from binsafe.syscalls.sets import among, distinct
from binsafe.syscalls.tables import numbers

_LISTED = 8
"""A function that refers to so many functions of name services calls none of them."""
_SPEAKING = frozenset({"__libc_fatal", "__fortify_fail", "__stack_chk_fail", "__chk_fail"})
_KEPT_BY_LINKERS = frozenset({"__tls_get_addr"})
"""Imports that stay where linkers made other code of all calls ("ELF Handling For Thread-Local Storage", 5)."""
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


def unanalysed(slice_: Slice, linking: Linking, machine: Machine, reason: str) -> Summary:
    """A file whose code was not looked at: it may call all that it imports, and make every call that there is."""
    wanted = linking.symbols.chosen(np.flatnonzero(~linking.symbols.defined & linking.symbols.named))
    imports = tuple(Name(symbol.name, symbol.version, copied=False) for symbol in wanted)
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
        exports=Exports(),
        calls=(),
        gaps=(Gap(0, slice_.entry, reason),),
        wrappers=(),
        passed=(),
        texts=(),
        fatal=(),
    )


class Summariser:
    """One file, taken apart once for all that is asked about it."""

    def __init__(
        self, slice_: Slice, linking: Linking, machine: Machine, budget: int, go: FunctionTable | None = None
    ) -> None:
        """Find out what the file consists of; ``go`` is Go's own table of functions, if it was read already.

        Raises:
            OutOfInstructions: more than ``budget`` instructions would have to be decoded.
        """
        self._program = Program(slice_, machine, Decoder(machine.arch, budget), linking, go)
        self._linking = linking
        self._graph = graph.build(self._program, linking)
        self._outgoing = Outgoing(self._program, self._graph, [name.name for name in self._imports])
        self._usual = frozenset((name, machine.arguments[at]) for name, places in WATCHED.items() for at in places)
        self._calls: list[Call] = []
        self._gaps: list[Gap] = []
        self._wrappers: set[Wrapper] = set()
        self._passed: dict[tuple[str, str], set[Passed]] = {}
        self._sites: tuple[Site, ...] = ()
        self._anywhere = max(0, self._graph.entry)
        """A function that stands for code which was not looked at."""
        self._whole = True
        """Whether the budget was enough so far."""

    def summary(self, watched: Watched = frozenset()) -> Summary:
        """The summary; ``watched`` are (imported function, register) of which it matters what is passed.

        Always watched are those of `glibc.WATCHED`. Where the budget ends what was found until then counts, and a gap.
        """
        summary = self._alone
        for each in sorted(self._usual | watched):
            self._find_passed(*each)
        passed = sorted((p for each in self._usual | watched for p in self._passed[each]), key=repr)
        summary = msgspec.structs.replace(
            summary, passed=tuple(passed), wrappers=tuple(sorted(self._wrappers, key=repr)), gaps=tuple(self._gaps)
        )
        summary = msgspec.structs.replace(summary, conditions=tuple(known_libraries.conditions(summary)))
        return self._told(summary, tuple(self._unfollowed()))

    @cached_property
    def _alone(self) -> Summary:
        """The summary without what is watched."""
        self._resolve()
        exports = self._exports()
        given, carried, handed = self._arguments()
        sources, targets = self._edges(exports)
        fatal = self._fatal(exports)
        nothing = np.array([], np.int64)
        self._graph = self._graph._replace(sources=nothing, targets=nothing)  # of millions, none is needed any more
        starts = np.concatenate([self._program.layout.starts, self._graph.data])
        return Summary(
            arch=self._program.machine.arch,
            soname=str(self._program.slice.traits.get("soname", "")),
            functions=self._graph.functions,
            starts=starts.astype(np.int64).tobytes(),
            firsts=np.searchsorted(sources, np.arange(self._graph.nodes + 1)).astype(np.int32).tobytes(),
            targets=targets.astype(np.int32).tobytes(),
            entry=self._graph.entry,
            mapped=self._program.is_mapped(),
            roots=self._graph.roots.astype(np.int32).tobytes(),
            imports=self._imports,
            exports=exports,
            calls=tuple(self._calls),
            gaps=(),
            wrappers=(),
            passed=(),
            texts=tuple(texts(self._program)),
            fatal=tuple(sorted(fatal)),
            by_kernel=() if has_calls_beside(exports) else tuple(sorted(set(vdso.calls(self._program.code)))),
            given=tuple(sorted(given, key=repr)),
            carried=tuple(sorted(carried, key=repr)),
            handed=tuple(sorted(handed, key=repr)),
            folders=folders(self._program.slice),
            symbolic=self._linking.symbolic,
        )

    def _edges(self, exports: Exports) -> tuple[Addresses, Addresses]:
        """The graph's; of the C library without those that only list what its built-in name services do.

        ``__nss_files_functions`` and ``__nss_dns_functions`` (``nss/nss_module.h``) fill the same table that is filled
        by looking names up in a library: as there, what is called of it are the names in
        `c_library.asked_of_services`.
        """
        sources, targets = self._graph.sources, self._graph.targets
        if "__libc_start_main" not in exports:
            return sources, targets
        functions = [e.first for e in exports.where(service_function) if e.first < e.last]
        serving = among(targets, functions)
        count = np.zeros(self._graph.nodes, np.int64)
        np.add.at(count, sources[serving], 1)
        kept = ~(serving & (count[sources] >= _LISTED))
        return sources[kept], targets[kept]

    def _fatal(self, exports: Exports) -> set[int]:
        """Functions that end the program because of an error, and what glibc's print its last words with.

        Those call the nameless ``__libc_message``, as ``malloc`` does (``sysdeps/posix/libc_fatal.c``). The loader's
        words are written at once, too, by ``_dl_debug_vdprintf`` (``elf/dl-printf.c``); it has others for ``LD_DEBUG``.
        """
        if "_rtld_global" in exports:
            return {call.node for call in self._calls if call.number == numbers(self._program.machine.arch)["writev"]}
        chosen = (e for e in exports.named(_FATAL | _SPEAKING) if e.first < e.last and e.first < self._graph.functions)
        named = {export.name: export.first for export in chosen}
        found = {node for name, node in named.items() if name in _FATAL}
        speaking = [node for name, node in named.items() if name in _SPEAKING]
        said = distinct(self._graph.targets[among(self._graph.sources, speaking)])
        first, last = (np.frombuffer(column, np.int32) for column in (exports.firsts, exports.lasts))
        exported = first[first < last]
        return found | set(said[(said < self._graph.functions) & ~among(said, exported)].tolist())

    def _function(self, address: int) -> int:
        return self._program.layout.function(address)

    def _resolve(self) -> None:
        """Find all calls; of a file that is too large for its budget as many as there was time for."""
        found = entries(self._program)
        self._sites = found.sites
        self._calls = [Call(self._function(n.address), n.value, n.address) for n in sorted(found.numbers)]
        self._gaps = [Gap(self._function(g.address), g.address, g.reason) for g in sorted(found.gaps)]
        self._gaps += self._unseen()
        for parameter in found.parameters:
            steps = tuple(Step(step.name, step.operand) for step in parameter.operations)
            self._wrappers.add(Wrapper(parameter.function, parameter.location, steps))
        self._whole &= found.whole

    def _unseen(self) -> Iterator[Gap]:
        """Functions called in ways that are not seen get unknown numbers and names."""
        first = self._graph.nodes - len(self._imports)
        for node in self._graph.unseen.tolist():
            name = self._imports[node - first].name
            if name in _KEPT_BY_LINKERS:
                continue
            yield Gap(node, self._program.slice.entry, f"it is not seen where {name} is called")

    def _unfollowed(self) -> Iterator[str]:
        """Why what runs may be other than what was followed, whatever is called of the file."""
        if not self._whole:
            yield "too many instructions would have to be decoded"
        yield from unwritten(self._program.slice)
        if self._linking.diverting:
            yield "it is a filter, or has an auditor: what its names mean is decided elsewhere"

    def _told(self, summary: Summary, reasons: tuple[str, ...]) -> Summary:
        """The summary of a file that was not followed to the end: programs that load it are told so."""
        if not reasons:
            return summary
        gaps = (Gap(self._anywhere, self._program.slice.entry, reason) for reason in reasons)
        roots = {*summary.started(), self._anywhere}
        return msgspec.structs.replace(
            summary, gaps=(*summary.gaps, *gaps), roots=np.array(sorted(roots), np.int32).tobytes()
        )

    @cached_property
    def _imports(self) -> tuple[Name, ...]:
        """What the file imports, in the order of its nodes."""
        copied = set(self._linking.copied.tolist())
        symbols = self._linking.symbols.chosen(self._graph.imports)
        return tuple(
            Name(symbol.name, symbol.version, index in copied)
            for index, symbol in zip(self._graph.imports, symbols, strict=True)
        )

    def _exports(self) -> Exports:
        symbols = self._linking.symbols
        defined = np.flatnonzero(symbols.defined & (symbols.bindings > 0) & symbols.named)
        values = symbols.values[defined]
        ends = values + np.maximum(1, symbols.sizes[defined])
        code = self._program.code.holds(values)
        function = self._program.layout.exact(values)
        first, last = (self._graph.functions + np.searchsorted(self._graph.data, each) for each in (values, ends))
        return Exports.of_columns(
            symbols.names(defined),
            symbols.versions(defined),
            addresses=values.tobytes(),
            firsts=np.where(code, np.maximum(function, 0), first).astype(np.int32).tobytes(),
            lasts=np.where(code, function + 1, last).astype(np.int32).tobytes(),
        )

    def _find_passed(self, name: str, register: str) -> None:
        """Find out what is passed to one function, once; that it is unknown where looking would take too long."""
        if (name, register) in self._passed:
            return
        try:
            self._passed[name, register], wrappers = self._outgoing.passed(name, register)
            self._wrappers |= wrappers
        except OutOfInstructions:
            self._whole = False
            unknown = Passed(name, register, self._anywhere, 0, None)
            self._passed[name, register] = {unknown} if self._outgoing.imports(name) else set()

    def _arguments(self) -> tuple[set[Given], set[Carried], set[Handed]]:
        """What is known of arguments; that nothing is where looking would take too long."""
        wanted = decisive(self._program.machine.arch, dynamic=True)
        try:
            found = arguments.at_sites(self._program, self._sites, wanted)
            handed = set(self._outgoing.handed())
        except OutOfInstructions:
            unknown = {Given(c.node, c.number, at, None) for c in self._calls for at in wanted.get(c.number, ())}
            return unknown, set(), set(self._outgoing.nothing_known())
        given = {Given(self._function(g.address), g.number, g.argument, g.value) for g in found.given}
        carried = {
            Carried(c.function, c.register, tuple(Step(o.name, o.operand) for o in c.operations), c.number, c.argument)
            for c in found.carried
        }
        return given, carried, handed
