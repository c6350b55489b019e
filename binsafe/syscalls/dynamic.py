"""A dynamic program and its libraries -> Syscalls.

Of the program itself everything counts: almost all of it is reached anyway, and what is only reached in ways that
nobody can see is never missed. Of the libraries only what can be reached does.
"""

from collections.abc import Iterator

from binsafe.formats.elf_linking import linking
from binsafe.limits import MAX_EVIDENCE
from binsafe.model import Slice, Syscalls, Unresolved
from binsafe.syscalls import patterns
from binsafe.syscalls.composing import Closure, File, Step
from binsafe.syscalls.machine import Machine, Operation, compute
from binsafe.syscalls.provider import Libraries
from binsafe.syscalls.summarising import LOADS_LIBRARIES, summarise
from binsafe.syscalls.summary import Passed
from binsafe.syscalls.tables import names

_MAX_ROUNDS = 8
"""How often libraries that are loaded at run time may lead to further ones."""


def analyse_dynamic(
    slice_: Slice,
    libraries: Libraries,
    machine: Machine,
    implied: set[str],
    *,
    max_instructions: int,
    explain: str | None,
) -> Syscalls:
    """See `binsafe.syscalls.analyse`; ``implied`` are the calls that are in no code."""
    linked = linking(slice_.data)
    assert linked is not None  # noqa: S101 - a dynamic slice has a dynamic section
    program = File("program", summarise(slice_, linked, machine, max_instructions), whole=True)
    closure = _Found(program, libraries, machine)
    for _ in range(_MAX_ROUNDS):
        before = len(libraries.resolved)
        for name in closure.loaded_at_run_time():
            libraries.add(name, "dlopen")
        if len(libraries.resolved) == before:
            break
        closure = _Found(program, libraries, machine)
    return closure.syscalls(implied, explain)


class _Found:
    def __init__(self, program: File, libraries: Libraries, machine: Machine) -> None:
        self.libraries = libraries
        self.machine = machine
        members = [*libraries.members()[1:], *libraries.members()[:1]]
        self.missing = [member.library.name for member in members if member.summary is None]
        self.closure = Closure(
            [
                program,
                *(
                    File(m.library.name, m.summary, exported=m.library.needed_by in {"dlopen", "--with", "interpreter"})
                    for m in members
                    if m.summary is not None
                ),
            ]
        )

    def passed(self, *functions: str) -> Iterator[tuple[int, Passed]]:
        """What live code passes to functions of these names, by file."""
        for number, file in enumerate(self.closure.files):
            for passed in file.summary.passed:
                if passed.imported in functions and self.closure.live(number, passed.node):
                    yield number, passed

    def loaded_at_run_time(self) -> list[str]:
        """Names of libraries that live code is known to load."""
        found = {passed.text for _, passed in self.passed(*LOADS_LIBRARIES) if passed.text}
        return sorted(found | patterns.loaded_by_c_library(self._texts_of_c_library(), self.libraries.name_services()))

    def _texts_of_c_library(self) -> set[str]:
        files = [(n, file.summary) for n, file in enumerate(self.closure.files) if patterns.is_c_library(file.summary)]
        return {text.text for n, summary in files for text in summary.texts if self.closure.live(n, text.node)}

    def unknown(self) -> Iterator[str]:
        """What is loaded and nobody knows what it does."""
        for number, passed in self.passed(*LOADS_LIBRARIES):
            if passed.value != 0 and not passed.text:
                yield f"{passed.imported}: a name that is computed, at {self._place(number, passed.address)}"
        yield from (f"{name}: not found" for name in self.missing)

    def calls(self) -> Iterator[tuple[int, int, int, int]]:
        """(number, file, node, address) of each call of live code, those through wrappers of other files included."""
        for number, file in enumerate(self.closure.files):
            for call in file.summary.calls:
                if self.closure.live(number, call.node) and not patterns.is_never_made(
                    file.summary, call, self.machine.arch
                ):
                    yield call.number, number, call.node, call.address
        for steps, number, passed in self._wrapped():
            if passed.value is not None:
                yield compute(passed.value, steps) & 0xFFFF_FFFF, number, passed.node, passed.address

    def gaps(self) -> Iterator[tuple[str, str]]:
        """(place, reason) where a number could not be told."""
        for number, file in enumerate(self.closure.files):
            covered = patterns.covered(file.summary)
            for gap in file.summary.gaps:
                if self.closure.live(number, gap.node) and gap.node not in covered:
                    yield self._place(number, gap.address), gap.reason
        for _, number, passed in self._wrapped():
            if passed.value is None:
                yield (
                    self._place(number, passed.address),
                    f"the number that is passed to {passed.imported} is not known",
                )

    def _wrapped(self) -> Iterator[tuple[tuple[Operation, ...], int, Passed]]:
        """What is passed to exported wrappers: the arithmetic that they do, by whom it is passed, what."""
        for file in self.closure.files:
            for wrapper in file.summary.wrappers:
                steps = tuple(Operation(step.name, step.operand) for step in wrapper.steps)
                exported = {export.name for export in file.summary.exports if export.address == wrapper.address}
                for number, passed in self.passed(*exported):
                    if passed.register == wrapper.register:
                        yield steps, number, passed

    def _place(self, number: int, address: int) -> str:
        return hex(address) if number == 0 else f"{self.closure.files[number].name}:{address:#x}"

    def syscalls(self, implied: set[str], explain: str | None) -> Syscalls:
        """The result; ``explain`` is the name of a call whose way from a root is wanted."""
        known = names(self.machine.arch)
        likely_nodes = self.closure.likely()
        made: dict[str, list[tuple[int, int, int]]] = {}
        likely = set(implied)
        for value, number, node, address in self.calls():
            if value in known:
                made.setdefault(known[value], []).append((number, node, address))
                if likely_nodes[self.closure.node(number, node)]:
                    likely.add(known[value])
        gaps, unknown = sorted(set(self.gaps())), sorted(set(self.unknown()))
        own = {name: sorted({a for n, _, a in places if n == 0}) for name, places in sorted(made.items())}
        return Syscalls(
            abi=self.machine.abi,
            complete=not gaps and not unknown,
            required=tuple(sorted({*made, *implied})),
            likely=tuple(sorted(likely)),
            unresolved=tuple(Unresolved(address=place, reason=reason) for place, reason in gaps),
            open_set=tuple(unknown),
            sites={
                name: tuple(hex(address) for address in places[:MAX_EVIDENCE]) for name, places in own.items() if places
            },
            chain=() if explain is None else tuple(self._chain(made.get(explain, []))),
        )

    def _chain(self, places: list[tuple[int, int, int]]) -> Iterator[str]:
        """The shortest way to one of some calls, a line for each step."""
        ways = [(self.closure.way(number, node), number, address) for number, node, address in places]
        if ways:
            way, number, address = min(ways, key=lambda found: len(found[0]))
            yield from (_line(step) for step in way)
            yield f"{self.closure.files[number].name}: makes the call at {address:#x}"


def _line(step: Step) -> str:
    where = "" if step.address is None else f" at {step.address:#x}"
    return f"{step.file}: {step.name or 'code or data without a name'}{where}"
