"""Artifact -> report: parse, extract the facts of each slice, and judge.

Pure: the same bytes give the same report. Verdict: "danger" is a high or critical finding, "caution" a medium one,
"unknown" where something could not be analysed, which outranks both.
"""

import functools
from collections.abc import Iterator, Mapping

import msgspec

from binsafe import formats
from binsafe.errors import NotAnalysable
from binsafe.extractors import EXTRACTORS, Subject, strings
from binsafe.model import Artifact, Evidence, Finding, Report, Severity, Slice, SliceReport, Verdict
from binsafe.model.report import FILE_CAPABILITIES, Level
from binsafe.model.rewriting import rewrite
from binsafe.syscalls import Libraries, listing

_TRUST = ("none", "linker", "adhoc", "other", "authenticode", "developer-id", "apple")
"""Kinds of signature, the one that says least about who made the program first."""
_KERNEL = frozenset({"kernel-module", "kernel-extension", "driver"})
_PROFILED = frozenset({"linux", "macos"})
_NOUNS = {"library": "library", "bundle": "plug-in", "object": "object file", "debug-symbols": "file"}
"""What people call code that is no program: something else loads, links or reads it."""
_LOAD = "load it only if you trust who made it"
_BEFORE = 4
"""Instructions shown before the one that is evidence."""
_NOBODY = {"none": "it is not signed", "linker": "it is signed by the linker only", "adhoc": "it is signed ad hoc only"}


def inspect(
    artifact: Artifact,
    data: memoryview,
    *,
    syscalls: bool = True,
    listings: bool = False,
    libraries: Libraries | None = None,
    components: Mapping[int, memoryview | None] | None = None,
    explain: str | None = None,
) -> Report:
    """The report on ``data``, which is what ``artifact`` describes; ``libraries`` are those of a dynamic ELF program.

    ``components`` are the files of a bundle that its program's signature seals, by special slot: None for one that
    the bundle does not have. ``explain`` is the name of a system call whose way from the program's start is wanted.

    Never raises for any bytes: what cannot be analysed gives a report with ``analysed`` False, the finding that says
    why, and the verdict "unknown". Without ``syscalls`` that analysis is left out and its fact is None. With
    ``listings`` evidence that has an address shows the instructions there.
    """
    try:
        image = formats.parse(data)
        parts = [
            _slice(
                number,
                Subject.of(slice_, syscalls=syscalls, libraries=libraries, components=components, explain=explain),
            )
            for number, slice_ in enumerate(image.slices)
        ]
        if listings:
            parts = [_listed(part, slice_) for part, slice_ in zip(parts, image.slices, strict=True)]
    except NotAnalysable as error:
        return _not_analysed(artifact, data, error)
    slices = tuple(facts for facts, _ in parts)
    found = [
        *notes(artifact),
        *_structure(image.problems),
        *_differences(slices),
        *(finding for _, findings in parts for finding in findings),
    ]
    findings = tuple(sorted(found, key=_order))
    return Report(
        artifact=artifact,
        format=image.format,
        analysed=True,
        slices=slices,
        strings=strings.extract(data, image.slices, [part.language for part in slices]),
        findings=findings,
        verdict=_verdict(slices, findings),
    )


def notes(artifact: Artifact) -> Iterator[Finding]:
    """What stands beside the file's bytes and counts: a mark that cannot be read, rights of another user's."""
    why = (artifact.quarantine or {}).get("unknown")
    if why is not None:
        yield Finding(
            id="quarantine-unknown",
            severity=Severity.LOW,
            title="Its quarantine mark cannot be read",
            detail=f"What macOS noted when the file was fetched is not known: {why}.",
        )
    rights = (artifact.attributes or {}).get(FILE_CAPABILITIES)
    given = [f"it runs as {artifact.set_id}"] if artifact.set_id else []
    given += [f"the kernel gives it {rights}"] if rights else []
    if given:
        yield Finding(
            id="extra-rights",
            severity=Severity.LOW,
            title="It has rights that its user may lack",
            detail=f"Outside a sandbox {' and '.join(given)}, whoever starts it: a fault in it gives that away.",
        )


def _slice(number: int, subject: Subject) -> tuple[SliceReport, list[Finding]]:
    slice_ = subject.slice
    extracted = {name: extract(subject) for name, extract in EXTRACTORS.items()}
    facts = SliceReport(
        arch=slice_.arch,
        system=slice_.system,
        kind=slice_.kind,
        linkage=slice_.linkage,
        libraries=slice_.libraries,
        rpaths=slice_.rpaths,
        **{name: found.value for name, found in extracted.items()},
    )
    own = (*_structure(slice_.problems), *_privilege(facts), *_elevation(slice_))
    findings = [*own, *(finding for found in extracted.values() for finding in found.findings)]
    return facts, [msgspec.structs.replace(finding, slice=number) for finding in findings]


def _listed(part: tuple[SliceReport, list[Finding]], slice_: Slice) -> tuple[SliceReport, list[Finding]]:
    """The part with the instructions around each place that its evidence names; a function is shown from its start."""
    at = functools.cache(functools.partial(listing, slice_))

    def shown(evidence: Evidence) -> Evidence:
        if evidence.address is None:
            return evidence
        before = 0 if evidence.via == "function" else _BEFORE
        return msgspec.structs.replace(evidence, instructions=at(int(evidence.address, 16), before=before))

    return rewrite(part, Evidence, shown)


def _structure(problems: tuple[str, ...]) -> Iterator[Finding]:
    """Parts of a file that are wrong and that no loader needs. A problem is the finding's id, a colon, the detail."""
    for problem in problems:
        name, _, detail = problem.partition(": ")
        title = "Part of the file is missing or contradicts the rest"
        yield Finding(id=name, severity=Severity.MEDIUM, title=title, detail=f"Not looked at: {detail}.")


def _privilege(part: SliceReport) -> Iterator[Finding]:
    """What is loaded into the kernel or the firmware: whatever else is said of it, nothing confines it."""
    where = _home(part)
    if where is not None:
        yield Finding(
            id="privileged-code",
            severity=Severity.INFO if part.signature.status == "valid" else Severity.MEDIUM,
            title=f"It runs in the {where}",
            detail="No profile confines what runs there, and it can reach everything.",
        )


def _elevation(slice_: Slice) -> Iterator[Finding]:
    """That Windows is asked for more rights than who starts it has; for a library the program that loads it decides."""
    level = slice_.traits.get("execution_level", "asInvoker")
    said = f"has the execution level {level}" if level != "unread" else "asks for what cannot be told"
    if level != "asInvoker" and slice_.kind == "executable":
        yield Finding(
            id="administrator",
            severity=Severity.LOW,
            title="It asks to be started with an administrator's rights",
            detail=f"Its manifest {said}: so started, it can change all of the machine.",
        )


def _home(part: SliceReport) -> str | None:
    """What it is loaded into, other than a process."""
    return "firmware" if part.system == "uefi" else "kernel" if part.kind in _KERNEL else None


def _differences(slices: tuple[SliceReport, ...]) -> Iterator[Finding]:
    """What one slice of a universal file promises and another does not: each machine runs only one of them."""
    signers = {(part.signature.kind, part.signature.status, part.signature.team_id) for part in slices}
    if len(signers) > 1:
        each = ", ".join(f"{part.arch}: {part.signature.kind} ({part.signature.status})" for part in slices)
        anybody = any(part.signature.kind not in _NOBODY for part in slices)
        yield Finding(
            id="slices-differ",
            severity=Severity.MEDIUM if anybody else Severity.LOW,
            title="Its slices are not signed alike",
            detail=f"{each}. Which one runs depends on the machine: judge the file by the weakest.",
        )
    if len({msgspec.json.encode(part.entitlements, order="deterministic") for part in slices}) > 1:
        yield Finding(
            id="entitlements-differ",
            severity=Severity.MEDIUM,
            title="Its slices ask for different entitlements",
            detail="What macOS lets the program do depends on the machine it runs on.",
        )


def _order(finding: Finding) -> tuple[int, int, str, str]:
    return -finding.severity.rank, -1 if finding.slice is None else finding.slice, finding.id, finding.title


def _verdict(slices: tuple[SliceReport, ...], findings: tuple[Finding, ...]) -> Verdict:
    weakest = _weakest(slices, findings)
    level: Level = findings[0].severity.level if findings else "ok"
    if level == "danger":
        return Verdict(level=level, advice=f"Do not run it: {findings[0].clause}.", weakest_slice=weakest)
    told = level == "ok" or findings[0].id in {"unsigned", "slices-differ"}  # by who vouches for it
    advice = _advice(slices[weakest], doubt=None if told else findings[0].clause)
    return Verdict(level=level, advice=advice, weakest_slice=weakest)


def _weakest(slices: tuple[SliceReport, ...], findings: tuple[Finding, ...]) -> int:
    """The slice with the worst finding; among equals the one whose signature says least."""
    worst = dict.fromkeys(range(len(slices)), -1)
    for finding in findings:
        if finding.slice is not None:
            worst[finding.slice] = max(worst[finding.slice], finding.severity.rank)
    return min(worst, key=lambda number: (-worst[number], _TRUST.index(slices[number].signature.kind), number))


def _advice(part: SliceReport, *, doubt: str | None) -> str:
    signature = part.signature
    keeper, how = ("a profile", " (binsafe profile)") if part.system in _PROFILED else ("a virtual machine", "")
    if part.system.startswith("osabi-"):  # of no system that is known: byte code, which some runtime loads
        keeper = "a sandbox"
    noun = _NOUNS.get(part.kind, "program")
    remedy = _LOAD if _home(part) else f"run {'it' if noun == 'program' else 'what uses it'} only inside {keeper}{how}"
    nobody = _NOBODY.get(signature.kind)
    if nobody is not None:
        more = f", and {doubt}" if doubt else ""
        return f"Nobody vouches for this {noun}: {nobody}{more}; {remedy}."
    if doubt is not None:
        return f"Be careful: {doubt}; {remedy}."
    signer = next((s.organization or s.common_name for s in signature.signers), None) or "somebody"
    holds = "the signature holds" if signature.status == "valid" else "what of the signature is in this file holds"
    more = remedy if _home(part) else f"{keeper} still keeps a fault in it harmless{how}"
    return f"It is signed by {signer}, and {holds}; {more}."


def _not_analysed(artifact: Artifact, data: memoryview, error: NotAnalysable) -> Report:
    title = "It could not be analysed"
    finding = Finding(id=error.finding, severity=Severity.HIGH, title=title, detail=str(error))
    return Report(
        artifact=artifact,
        format=formats.identify(data),
        analysed=False,
        findings=(finding, *notes(artifact)),
        verdict=Verdict(level="unknown", advice=f"Do not run it: {error.hint}."),
    )
