"""A bundle -> report: its executables one by one, and whether what lies beside them is what was signed.

Pure: the files come through a provider, from a folder or an archive.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

import msgspec

from binsafe.errors import NotAnalysable
from binsafe.formats import FORMATS, HEAD_BYTES, identify, stranger
from binsafe.inspection import inspect
from binsafe.limits import MAX_BUNDLES, MAX_MEMBERS
from binsafe.model import Artifact, Finding, Member, Report, Severity, Signature, Verdict
from binsafe.model.report import LEVELS
from binsafe.signatures import bundle as bundles
from binsafe.signatures import seal
from binsafe.signatures.bundle import Bundle, Files, Tree
from binsafe.signatures.structure import Outcome, StructureError, enumerate_some
from binsafe.signatures.superblob import Slot

_SMALLEST = 64
"""Bytes of the smallest header of an executable with something behind it."""
_APART = "CodeDirectory"
"""Beside the seal: where Mac OS X 10.5 to 10.8 have the signatures of kernel extensions, as others have of scripts."""


def inspect_bundle(artifact: Artifact, files: Files, *, syscalls: bool, listings: bool) -> Report:
    """The report on a bundle's files; every executable in it is a member, the main one first.

    ``syscalls`` and ``listings`` as in :func:`binsafe.inspection.inspect`.

    Raises:
        NotAnalysable: it is no bundle, or a file could not be read.
    """
    tree = Tree(files)
    outermost = bundles.find(tree, name=PurePosixPath(artifact.path).name)
    if outermost is None:
        raise NotAnalysable("it is a directory and no bundle", hint="name the executable inside it")
    inside, depth_reached = _all(tree, outermost)
    kinds = {path: _kind(path, tree) for path in tree.below(outermost.root)}
    members, omitted = _members(artifact, tree, inside, kinds, syscalls=syscalls, listings=listings)
    code = _signatures(inside, members)
    unread = [path for path, kind in kinds.items() if kind in {"script", "archive"} and path not in members]
    findings = [*_caps(omitted, depth_reached), *_links(tree), *_unread(unread)]
    for one in inside:
        findings += _findings(one, tree, code)
    return _report(artifact, members, omitted, tuple(findings))


def listing(files: Files) -> str:
    """The SHA-256 of a tree: over all names in order, each with what it is and its content's SHA-256 or its target."""
    digest = hashlib.sha256()
    for path, entry in sorted(files.entries.items()):
        content = hashlib.sha256(files.read(path)).hexdigest() if entry.kind == "file" else entry.target
        digest.update(f"{entry.kind}\0{content}\0{path}\0".encode())
    return digest.hexdigest()


def _all(tree: Tree, outermost: Bundle) -> tuple[list[Bundle], bool]:
    """The bundle and those inside it, outer ones first, and whether a cap left some out."""
    found, level = [outermost, *bundles.versions(tree, outermost)], [outermost]
    for _ in range(bundles.MAX_DEPTH):
        level = [
            one
            for outer in level
            for name in bundles.inner(tree, outer.root)
            if (one := bundles.find(tree, name)) is not None
        ]
        found += [each for one in level for each in (one, *bundles.versions(tree, one))]
        if not level or len(found) > MAX_BUNDLES:
            break
    return found[:MAX_BUNDLES], bool(level)


def _members(
    artifact: Artifact,
    tree: Tree,
    inside: list[Bundle],
    kinds: Mapping[str, str],
    *,
    syscalls: bool,
    listings: bool,
) -> tuple[dict[str, Report], int]:
    """Reports on all executables by path, the main ones first; and how many were not looked at."""
    main = {one.executable: one for one in inside if one.executable is not None}
    others = [path for path, kind in kinds.items() if path not in main and kind in FORMATS]
    chosen = [*main, *others]
    reports = {}
    for path in chosen[:MAX_MEMBERS]:
        data = tree.files.read(path)
        own = Artifact(
            name=path.rpartition("/")[2], path=f"{artifact.path}/{path}", size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )  # fmt: skip
        components = _components(main[path], tree) if path in main else {}
        reports[path] = inspect(own, data, syscalls=syscalls, listings=listings, components=components)
    return reports, max(len(chosen) - MAX_MEMBERS, 0)


def _kind(path: str, tree: Tree) -> str:
    """What a file is, by its first bytes; byte code counts as a script, and what is too short for code as nothing."""
    if not tree.is_file(path):
        return "unknown"
    head = tree.files.read(path, HEAD_BYTES)
    kind = identify(head)
    if kind == "unknown" and stranger(head):
        return "script"
    return "unknown" if kind in FORMATS and len(head) < _SMALLEST else kind


def _components(one: Bundle, tree: Tree) -> Mapping[int, memoryview | None]:
    """The files that the program's signature is about; None for what the bundle lacks.

    What is there in other letters, or as a link that is not followed, is left out: a Mac may find it.
    """
    places = {
        Slot.INFO_PLIST: one.info_plist,
        Slot.CODE_RESOURCES: one.code_resources,
        Slot.TICKET: one.ticket,
    }
    return {slot: tree.read(path) for slot, path in places.items() if tree.is_file(path) or not tree.has(path)}


def _signatures(inside: list[Bundle], members: Mapping[str, Report]) -> Mapping[str, tuple[Signature, ...]]:
    """Signatures by what a seal calls the code: a bundle's folder, or a file."""
    code = {path: tuple(part.signature for part in report.slices) for path, report in members.items()}
    for one in inside:
        if one.executable in code:
            code[one.root] = code[one.base] = code[one.executable]
    return code


def _findings(one: Bundle, tree: Tree, code: Mapping[str, tuple[Signature, ...]]) -> Iterator[Finding]:
    """What is wrong with a bundle beside its executables."""
    if one.problem is not None:
        yield Finding(
            id="malformed",
            severity=Severity.MEDIUM,
            title="A bundle's Info.plist cannot be used",
            detail=f"{one.root or 'the bundle'}: {one.problem}",
        )
    if one.environment:
        yield Finding(
            id="dyld-environment",
            severity=Severity.MEDIUM,
            title="A bundle's Info.plist tells the loader what to load first",
            detail=f"{one.root or 'the bundle'} is opened with {enumerate_some(one.environment)}: libraries that its "
            "program does not name can run inside of it, unless its hardened runtime forbids that.",
        )
    if all(signature.kind in {"none", "linker"} for signature in code.get(one.root, ())):
        yield from _unsealed(one, tree)
        return
    outcome = _sealed(one, tree, code)
    for problem in outcome.problems:
        title = "Files beside the program were changed after signing"
        yield Finding(id=problem.id, severity=Severity.HIGH, title=title, detail=problem.detail)
    for what in outcome.unverified:
        title = "Not all files beside the program are sealed"
        yield Finding(id="resource-seal", severity=Severity.MEDIUM, title=title, detail=f"Not verified: {what}.")


def _unsealed(one: Bundle, tree: Tree) -> Iterator[Finding]:
    """A program that seals nothing, which its own report says, beside a list that only a signed one has."""
    if tree.is_file(one.code_resources):
        title, severity = "The signed program of a bundle was taken out or replaced", Severity.HIGH
        if tree.is_file(one.code_resources.removesuffix("CodeResources") + _APART):
            title = "A bundle's signature stands in files of its own, which are not read here"
            holds_code = one.executable is not None or one.problem is not None
            severity = Severity.HIGH if holds_code else Severity.LOW  # resources alone: what they are in may seal them
        detail = f"{one.root or 'the bundle'} has a resource seal, and the program that it names does not sign it."
        yield Finding(id="resource-seal", severity=severity, title=title, detail=detail)


def _sealed(one: Bundle, tree: Tree, code: Mapping[str, tuple[Signature, ...]]) -> Outcome:
    data = tree.read(one.code_resources)
    if data is None:
        return Outcome(unverified=(f"the files of {one.root or 'the bundle'}, which has no resource seal",))
    try:
        return seal.check(seal.read(data), one, tree, code)
    except StructureError as error:
        return Outcome(unverified=(f"the files of {one.root or 'the bundle'}: {error}",))


def _links(tree: Tree) -> Iterator[Finding]:
    for problem in seal.escaping(tree):
        title = "Links in the bundle lead out of it"
        yield Finding(id=problem.id, severity=Severity.HIGH, title=title, detail=problem.detail)


def _unread(paths: list[str]) -> Iterator[Finding]:
    if paths:
        title = "It has scripts, byte code or archives, which were not looked at"
        detail = f"{len(paths)}: {enumerate_some(paths)}."
        yield Finding(id="scripts", severity=Severity.INFO, title=title, detail=detail)


def _caps(omitted: int, depth_reached: bool) -> Iterator[Finding]:
    """Reached caps: what was not looked at may be anything."""
    if omitted:
        yield Finding(
            id="members-omitted",
            severity=Severity.MEDIUM,
            title="Not all executables were looked at",
            detail=f"{omitted} more than the {MAX_MEMBERS} that are looked at.",
        )
    if depth_reached:
        yield Finding(
            id="members-omitted",
            severity=Severity.MEDIUM,
            title="Not all bundles inside it were looked at",
            detail=f"There are more than {MAX_BUNDLES}, or more than {bundles.MAX_DEPTH} inside each other.",
        )


def _report(artifact: Artifact, members: Mapping[str, Report], omitted: int, findings: tuple[Finding, ...]) -> Report:
    """All together; the verdict is the worst of the members' and the bundle's own."""
    findings = tuple(sorted(findings, key=lambda finding: (-finding.severity.rank, finding.id, finding.detail)))
    verdicts = [report.verdict for report in members.values()]
    if findings:
        level = findings[0].severity.level
        lead = "Do not run it" if level == "danger" else "Be careful"
        verdicts.insert(0, Verdict(level=level, advice=f"{lead}: {findings[0].clause}."))
    if not members:
        verdicts = [Verdict(level="unknown", advice="Do not run it: it has no executable that could be analysed.")]
    worst = min(verdicts, key=lambda verdict: LEVELS.index(verdict.level))
    return Report(
        artifact=artifact,
        format="bundle",
        analysed=bool(members) and all(report.analysed for report in members.values()),
        findings=findings,
        verdict=msgspec.structs.replace(worst, weakest_slice=None),
        members=tuple(Member(path=path, report=report) for path, report in members.items()),
        members_omitted=omitted,
    )
