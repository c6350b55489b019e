"""A dynamic program and its libraries -> Syscalls.

What can be reached from what the loader calls counts, of the program and of its libraries; of a program for which that
cannot be seen (`Summary.mapped`) everything does.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from itertools import chain

from binsafe.limits import MAX_EVIDENCE
from binsafe.model import ResolvedLibrary, Syscalls, Unresolved
from binsafe.syscalls import glibc
from binsafe.syscalls.conventions import CONVENTIONS
from binsafe.syscalls.glibc import ENDING, LOADS_LIBRARIES, LOOKS_UP, NEW_NAMESPACE, THREADS, asks_by_name
from binsafe.syscalls.linking import c_library, known_libraries
from binsafe.syscalls.linking.argument_proofs import proved, said
from binsafe.syscalls.linking.composing import Closure, File, Step
from binsafe.syscalls.linking.folders import Folder
from binsafe.syscalls.linking.passing import Watched, numbers
from binsafe.syscalls.linking.provider import Libraries
from binsafe.syscalls.linking.summary import Passed, Summary
from binsafe.syscalls.tables import names

_MAX_ROUNDS = 8
"""How often libraries that are loaded at run time may lead to further ones."""
_AT_RUN_TIME = frozenset({"dlopen", "--with"})
"""Who asks for a library when the program runs already, see `binsafe.model.ResolvedLibrary`."""


def analyse_dynamic(program: Callable[[Watched], Summary], libraries: Libraries, *, explain: str | None) -> Syscalls:
    """See `binsafe.syscalls.analyse`; ``program`` gives the summary of the program for what is watched."""
    watched: Watched = frozenset()
    modules: frozenset[str] = frozenset()
    found = _Found(program(watched), libraries, watched, modules)
    for _ in range(_MAX_ROUNDS):
        before = len(libraries.resolved)
        for name in found.loaded_at_run_time():
            libraries.add(name, "dlopen")
        if len(libraries.resolved) == before and found.numbers.watched <= watched and found.modules() <= modules:
            break
        watched |= found.numbers.watched
        modules |= found.modules()
        found = _Found(program(watched), libraries, watched, modules)
    else:
        found.unfinished = True
    return found.syscalls(explain)


class _Found:
    def __init__(self, program: Summary, libraries: Libraries, watched: Watched, modules: AbstractSet[str]) -> None:
        """``modules`` are paths of libraries that are loaded by name at run time, also where others need them, too."""
        self.libraries = libraries
        self.machine = CONVENTIONS[program.arch]
        self.unfinished = False
        """Whether what was loaded last might load still more."""
        members = libraries.members(watched)
        late = _late([member.library for member in members])
        asked_for = {
            m.library
            for m in members
            if m.library.needed_by in _AT_RUN_TIME or (m.library.name in late and m.library.path in modules)
        }
        builds = Counter(member.library.name for member in members)
        members = [*members[1:], *members[:1]]
        self.missing = [member.library for member in members if member.summary is None]
        summaries = [program, *(member.summary for member in members if member.summary is not None)]
        asked_in = _asked_in(summaries)
        apart = any(passed.imported == NEW_NAMESPACE for summary in summaries for passed in summary.passed)
        self.closure = Closure(
            [
                File("program", program, whole=not program.mapped, started=True, exported=True, late=apart),
                *(
                    File(
                        m.library.name,
                        m.summary,
                        started=m is members[-1],
                        exported=m.library in asked_for and asked_in(m.library.name),
                        late=apart or m.library.name in late,
                        one_build_of_several=builds[m.library.name] > 1,
                    )
                    for m in members
                    if m.summary is not None
                ),
            ],
            libraries.exists,
        )
        self.numbers = numbers(summaries, watched, self.machine.arguments)

    def passed(self, *functions: str) -> Iterator[tuple[int, Passed]]:
        """What live code passes to functions of these names, by file."""
        for number, file in enumerate(self.closure.files):
            for passed in file.summary.passed:
                if passed.imported in functions and self.closure.live(number, passed.node):
                    yield number, passed

    def loaded_at_run_time(self) -> list[str]:
        """Names of libraries that live code is known to load."""
        loading = [(self.closure.files[number].name, passed.text) for number, passed in self.passed(*LOADS_LIBRARIES)]
        found = {text for _, text in loading if text}
        found.update(self.modules())
        asking = {name for name, _ in loading}
        for library in self.libraries.resolved:
            if library.name in asking:
                found.update(known_libraries.loaded_by(library.name, library.opened_as))
        return sorted(found | glibc.loaded_by_c_library(self._texts_of_c_library(), self.libraries.name_services()))

    def modules(self) -> frozenset[str]:
        """Paths of the libraries in `_folders`."""
        return frozenset(path for folder in self._folders for path in folder.modules)

    @cached_property
    def _folders(self) -> Sequence[Folder]:
        """Folders with libraries that the program may load by names which only its settings tell.

        Where it is known how a library chooses (`known_libraries.names_modules`), it says of no folder.
        """
        files = enumerate(self.closure.files)
        naming = {number: file.summary for number, file in files if known_libraries.names_modules(file.summary)}
        if not any(number in naming for number, _ in self._computed()):
            return ()
        named = chain.from_iterable(summary.folders for summary in naming.values())
        return self.libraries.modules(list(dict.fromkeys(named)))

    def _computed(self) -> Iterator[tuple[int, Passed]]:
        """Where live code loads a library by a name that cannot be told, by file."""
        return (each for each in self.passed(*LOADS_LIBRARIES) if each[1].value != 0 and not each[1].text)

    def _texts_of_c_library(self) -> set[str]:
        files = [(n, file.summary) for n, file in enumerate(self.closure.files) if c_library.is_c_library(file.summary)]
        return {text.text for n, summary in files for text in summary.texts if self.closure.live(n, text.node)}

    def unknown(self) -> Iterator[str]:
        """Libraries and functions that are looked up at run time under names that cannot be told."""
        for number, passed in self._computed():
            yield f"{passed.imported}: a name that is computed, at {self._place(number, passed.address)}"
        for folder in self._folders:
            part = "the libraries" if folder.whole else "many, but not all, of the libraries"
            yield f"dlopen: what settings name, of which {part} in {folder.path} are counted"
        for _, passed in self.passed(*LOADS_LIBRARIES):
            if passed.text and "/" in passed.text and not passed.text.startswith(("/", "$")):
                yield f"{passed.imported}: {passed.text}, in whatever folder the program is started"
        for number, passed in self.passed(*LOOKS_UP):
            if not passed.text:
                yield f"{passed.imported}: a name that is computed, at {self._place(number, passed.address)}"
        if self.unfinished:
            yield f"libraries that load libraries, more than {_MAX_ROUNDS} deep"
        for library in self.missing:
            yield f"{library.name}: {'not found' if library.path is None else 'it could not be analysed'}"

    def calls(self) -> Iterator[tuple[int, int, int, int]]:
        """(number, file, node, address) of each call of live code, those through wrappers of other files included."""
        known, never = names(self.machine.arch), self.closure.never()
        for number, file in enumerate(self.closure.files):
            for call in file.summary.calls:
                made = (number, call.node, known.get(call.number)) not in never
                if made and self.closure.live(number, call.node):
                    yield call.number, number, call.node, call.address
            for value, node, address in known_libraries.calls_through_memory(file.summary, self.machine.arch):
                if self.closure.live(number, node):
                    yield value, number, node, address
        for value, number, passed in self.numbers.known:
            made = (number, passed.node, known.get(value)) not in never
            if made and self.closure.live(number, passed.node):
                yield value, number, passed.node, passed.address

    def _passed_on(self) -> Iterator[int]:
        """Numbers of calls that are made through other files, or memory."""
        yield from (value for value, number, passed in self.numbers.known if self.closure.live(number, passed.node))
        for number, file in enumerate(self.closure.files):
            for value, node, _ in known_libraries.calls_through_memory(file.summary, self.machine.arch):
                if self.closure.live(number, node):
                    yield value

    def gaps(self) -> Iterator[tuple[str, str]]:
        """(place, reason) where a number could not be told."""
        for number, file in enumerate(self.closure.files):
            covered = c_library.covered(file.summary)
            for gap in file.summary.gaps:
                if self.closure.live(number, gap.node) and gap.node not in covered:
                    yield self._place(number, gap.address), gap.reason
        yield from self._replaced()
        for number, node, address, reason in self.numbers.gaps:
            covered = known_libraries.through_memory(self.closure.files[number].summary)
            if self.closure.live(number, node) and node not in covered:
                yield self._place(number, address), reason

    def _replaced(self) -> Iterator[tuple[str, str]]:
        """What is not libc's of what a file that is named libpthread takes for granted never to return."""
        apart = any(file.summary.soname == THREADS for file in self.closure.files)
        files = enumerate(self.closure.files if apart else ())
        others = ((number, file.summary) for number, file in files if not c_library.is_c_library(file.summary))
        for number, summary in others:
            for each in summary.exports.named(ENDING):
                yield (
                    self._place(number, each.address),
                    f"libpthread goes on behind {each.name}, should this one return",
                )

    def _place(self, number: int, address: int) -> str:
        return hex(address) if number == 0 else f"{self.closure.files[number].name}:{address:#x}"

    def syscalls(self, explain: str | None) -> Syscalls:
        """The result; ``explain`` is the name of a call whose way from a root is wanted."""
        arch = self.machine.arch
        known = names(arch)
        asked = {call for file in self.closure.files for call in file.summary.by_kernel} & set(known.values())
        implied = self.machine.implied() | asked
        likely_nodes = self.closure.likely()
        made: dict[str, list[tuple[int, int, int]]] = {}
        likely = set(implied)
        for value, number, node, address in self.calls():
            if value in known:
                made.setdefault(known[value], []).append((number, node, address))
                if self.closure.node(number, node) in likely_nodes:
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
            arguments={}
            if gaps or unknown
            else proved(said(self.closure, self._passed_on(), self.machine.arguments), arch),
            chain=() if explain is None else tuple(self._chain(made.get(explain, []))),
        )

    def _chain(self, places: list[tuple[int, int, int]]) -> Iterator[str]:
        """The shortest way to one of some calls, a line for each step."""
        ways = [(self.closure.way(number, node), number, address) for number, node, address in places]
        if ways:
            way, number, address = min(ways, key=lambda found: len(found[0]))
            yield from (_line(step) for step in way)
            yield f"{self.closure.files[number].name}: makes the call at {address:#x}"


def _late(libraries: Sequence[ResolvedLibrary]) -> frozenset[str]:
    """Names of those that are loaded at run time, and of what is loaded for these: nothing else comes behind them."""
    first = next((at for at, each in enumerate(libraries) if each.needed_by in _AT_RUN_TIME), len(libraries))
    return frozenset(each.name for each in libraries[first:])


def _asked_in(summaries: Sequence[Summary]) -> Callable[[str], bool]:
    """Whether anything might be looked up in a library that is loaded at run time: unless all names are known."""
    passed = [each for summary in summaries for each in summary.passed]
    loaded = {each.text for each in passed if each.imported in LOADS_LIBRARIES}
    all_known = all(each.text for each in passed if each.imported in LOOKS_UP)
    return lambda name: not all_known and (name in loaded or not asks_by_name(name))


def _line(step: Step) -> str:
    where = "" if step.address is None else f" at {step.address:#x}"
    return f"{step.file}: {step.name or 'code or data without a name'}{where}"
