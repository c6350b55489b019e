"""Archive -> report: each executable inside is a member with a report of its own; the worst one decides the verdict.

Pure, like :mod:`binsafe.inspection`: names of entries are data, and nothing is written anywhere. What cannot be looked
at is a finding and makes the report one on something that was not analysed; it hides no other member.
"""

import hashlib
from collections.abc import Callable

import msgspec

from binsafe import containers, formats
from binsafe.bundles import inspect_bundle, listing
from binsafe.containers import Budget, Entry, Trouble, Unreadable, appledouble
from binsafe.containers.names import Names, clean
from binsafe.errors import NotAnalysable
from binsafe.inspection import inspect as inspect_file
from binsafe.limits import MAX_ARCHIVE_DEPTH, MAX_BUNDLE_BYTES, MAX_MEMBER_BYTES, MAX_MEMBERS
from binsafe.model import Artifact, Finding, Member, Report, Severity, Verdict
from binsafe.signatures import bundle as bundles

_EXECUTABLES = frozenset({"elf", "mach-o", "pe"})
_HEAD = 512
_MAX_SHOWN = 20
_MAX_APPLEDOUBLE = 64 * 1024
_LEVELS = ("unknown", "danger", "caution", "ok")
_DEBIAN = "debian-binary"
_BUNDLES = (".app", ".framework", ".appex", ".xpc", ".kext", ".plugin", ".systemextension")
_SEVERITIES = {"archive-bomb": Severity.HIGH, "archive-entry": Severity.MEDIUM}
_TITLES = {
    "archive-bomb": "It unpacks to far more than it holds",
    "archive-damaged": "Part of the archive is damaged",
    "archive-depth": "It has archives inside of archives that were not looked at",
    "archive-encrypted": "Part of the archive is encrypted",
    "archive-entry": "An entry of the archive is not what archives are made of",
    "member-too-large": "A file in the archive is too large to be looked at",
    "members-omitted": "Not all of the archive was looked at",
    "scripts": "It has scripts, which were not looked at",
}


def is_archive(data: memoryview) -> bool:
    """Whether the first bytes are an archive's or a compressed file's."""
    return formats.identify(data) == "archive"


class Watch(msgspec.Struct, frozen=True):
    """What the walk asks and tells while it goes on; all of it may be left as it is."""

    begin: Callable[[int], None] = lambda _: None
    """Told the number of each member before it is inspected."""
    broken: frozenset[int] = frozenset()
    """Numbers of members that broke the parser before."""
    expired: Callable[[], bool] = lambda: False
    """Whether the time is up."""


def inspect(
    artifact: Artifact,
    data: memoryview,
    *,
    syscalls: bool = True,
    listings: bool = False,
    watch: Watch | None = None,
) -> Report:
    """The report on an archive; never raises for any bytes. ``syscalls`` and ``listings`` as for a single file."""
    walk = _Walk(artifact, watch or Watch(), syscalls=syscalls, listings=listings)
    try:
        walk.archive(data, artifact.path, "", Budget(len(data)), depth=1)
    except Unreadable as error:
        hint = "unpack it and inspect what is in it"
        return _report(artifact, (), 0, [_finding(Trouble("archive", str(error)))], hint=hint, lost=True)
    return walk.report()


class _Walk:
    """One pass over an archive and the archives inside of it."""

    def __init__(self, artifact: Artifact, watch: Watch, *, syscalls: bool, listings: bool) -> None:
        self._artifact = artifact
        self._watch = watch
        self._syscalls = syscalls
        self._listings = listings
        self._members: list[Member] = []
        self._omitted = 0
        self._bundles: dict[str, _Kept] = {}
        self._kept_bytes = 0
        self._troubles: dict[str, _Some] = {}
        self._lost = False
        self._quarantines: dict[str, dict[str, str]] = {}
        self._scripts = _Some()
        self._number = 0

    def archive(self, data: memoryview, name: str, prefix: str, budget: Budget, *, depth: int) -> None:
        """Go through all entries of one archive.

        Raises:
            Unreadable: it is of a kind that is not read.
        """
        names = Names()
        is_debian = False
        for entry in containers.read(data, name, budget):
            if isinstance(entry, Trouble):
                self._trouble(entry._replace(detail=f"{prefix}{entry.detail}" if prefix else entry.detail))
                continue
            wrong = tuple(names.check(entry))
            for trouble in wrong:
                self._trouble(trouble)
            if any(trouble.lost for trouble in wrong):
                continue
            is_debian = is_debian or entry.name == _DEBIAN
            path = prefix + clean(entry.name)
            try:
                self._entry(entry, path, prefix if is_debian else f"{path}/", budget, depth)
            except Unreadable as error:
                self._trouble(Trouble(error.finding, f"{path}: {error}"))

    def _entry(self, entry: Entry, path: str, inside: str, budget: Budget, depth: int) -> None:
        root = _bundle_root(path)
        if entry.stream is None:
            if root is not None and entry.kind != "folder":
                self._keep(root, path, bundles.Entry(kind=entry.kind, target=entry.target), b"")
            return
        head = entry.stream.read(_HEAD)
        described = appledouble.described(path) if head.startswith(appledouble.MAGIC) else None
        if described is not None:
            found = appledouble.quarantine(head + entry.stream.read(_MAX_APPLEDOUBLE))
            self._quarantines.update({described: found} if found else {})
        elif root is not None:
            data = self._whole(entry, head)
            self._keep(root, path, bundles.Entry(kind="file", size=len(data)), data)
        else:
            self._file(entry, head, path, inside, budget, depth)

    def _file(self, entry: Entry, head: bytes, path: str, inside: str, budget: Budget, depth: int) -> None:
        kind = formats.identify(head)
        if kind == "script":
            self._scripts.add(path)
        elif kind in _EXECUTABLES:
            self._member(path, self._whole(entry, head))
        elif kind == "archive":
            self._nested(entry, head, path, inside, budget, depth)

    def _nested(self, entry: Entry, head: bytes, path: str, inside: str, budget: Budget, depth: int) -> None:
        if depth >= MAX_ARCHIVE_DEPTH:
            self._trouble(Trouble("archive-depth", f"{path} lies {depth} archives deep"))
            return
        self.archive(memoryview(self._whole(entry, head)), path, inside, budget, depth=depth + 1)

    @staticmethod
    def _whole(entry: Entry, head: bytes) -> bytes:
        assert entry.stream is not None  # noqa: S101 - for the type checker
        data = head + entry.stream.read(MAX_MEMBER_BYTES + 1 - len(head))
        if len(data) > MAX_MEMBER_BYTES:
            raise Unreadable(f"it has more than {MAX_MEMBER_BYTES:,} bytes", "member-too-large")
        return data

    def _keep(self, root: str, path: str, entry: bundles.Entry, data: bytes) -> None:
        """Keep a file of a bundle until all of them are there: its seal is over all."""
        self._kept_bytes += len(data)
        if self._kept_bytes > MAX_BUNDLE_BYTES:
            raise Unreadable(f"bundles have more than {MAX_BUNDLE_BYTES:,} bytes", "member-too-large")
        kept = self._bundles.setdefault(root, _Kept())
        kept.entries[path[len(root) + 1 :]] = entry
        kept.data[path[len(root) + 1 :]] = data

    def _bundle(self, root: str, files: "_Kept") -> None:
        size = sum(len(data) for data in files.data.values())
        artifact = Artifact(name=root, path=f"{self._artifact.path}/{root}", size=size, sha256=listing(files))
        try:
            report = inspect_bundle(artifact, files, syscalls=self._syscalls, listings=self._listings)
        except NotAnalysable as error:
            self._trouble(Trouble(error.finding, f"{root}: {error}"))
        else:
            self._add(Member(path=root, report=report))

    def _member(self, path: str, data: bytes) -> None:
        if self._watch.expired():
            self._trouble(Trouble("members-omitted", f"{path} and what follows: the time for one archive was used up"))
            return
        number, self._number = self._number, self._number + 1
        sha256 = hashlib.sha256(data).hexdigest()
        place = f"{self._artifact.path}/{path}"
        artifact = Artifact(name=path, path=place, size=len(data), sha256=sha256)
        if number in self._watch.broken:
            report = _broke_the_parser(artifact)
        else:
            self._watch.begin(number)
            report = inspect_file(artifact, memoryview(data), syscalls=self._syscalls, listings=self._listings)
        self._add(Member(path=path, report=report))

    def _add(self, member: Member) -> None:
        """Keep a member; of too many the harmless ones go first."""
        self._members.append(member)
        if len(self._members) > MAX_MEMBERS:
            best = max(self._members, key=lambda member: _LEVELS.index(member.report.verdict.level))
            self._members.remove(best)
            self._omitted += 1

    def _trouble(self, trouble: Trouble) -> None:
        self._troubles.setdefault(trouble.finding, _Some()).add(trouble.detail)
        self._lost = self._lost or trouble.lost

    def report(self) -> Report:
        """What came of it, once all entries have been seen."""
        for root, files in self._bundles.items():
            self._bundle(root, files)
        findings = [_finding(Trouble(kind, f"{some}.")) for kind, some in self._troubles.items()]
        if self._scripts.count:
            findings.append(_finding(Trouble("scripts", f"{self._scripts.count}: {self._scripts}"), Severity.INFO))
        members = tuple(self._with_quarantine(member) for member in self._members)
        return _report(self._artifact, members, self._omitted, findings, lost=self._lost)

    def _with_quarantine(self, member: Member) -> Member:
        found = self._quarantines.get(member.path)
        if found is None:
            return member
        artifact = msgspec.structs.replace(member.report.artifact, quarantine=found)
        return Member(path=member.path, report=msgspec.structs.replace(member.report, artifact=artifact))


class _Some:
    """Texts of one kind, of which there may be very many: the first ones, and how many there were."""

    def __init__(self) -> None:
        self.count = 0
        self._first: list[str] = []

    def add(self, text: str) -> None:
        """Count one more."""
        self.count += 1
        if self.count <= _MAX_SHOWN:
            self._first.append(text)

    def __str__(self) -> str:
        more = self.count - len(self._first)
        return "; ".join(self._first) + (f"; and {more:,} more" if more else "")


class _Kept:
    """A bundle's files in memory (:class:`binsafe.signatures.bundle.Files`)."""

    def __init__(self) -> None:
        self.entries: dict[str, bundles.Entry] = {}
        self.data: dict[str, bytes] = {}

    def read(self, path: str, size: int | None = None) -> memoryview:
        """The bytes of a file, or its first ``size`` ones."""
        return memoryview(self.data[path])[:size]


def _bundle_root(path: str) -> str | None:
    """The outermost bundle that a path lies in: a folder with one of the names that macOS shows as one thing."""
    parts = path.split("/")[:-1]
    for count, part in enumerate(parts, 1):
        if part.endswith(_BUNDLES):
            return "/".join(parts[:count])
    return None


def _finding(trouble: Trouble, severity: Severity | None = None) -> Finding:
    return Finding(
        id=trouble.finding,
        severity=severity or _SEVERITIES.get(trouble.finding, Severity.HIGH),
        title=_TITLES.get(trouble.finding, "It could not be analysed"),
        detail=trouble.detail,
    )


def _broke_the_parser(artifact: Artifact) -> Report:
    finding = Finding(
        id="parser-failed", severity=Severity.HIGH, title="Could not be analysed", detail="it broke the parser"
    )
    advice = "Do not run it: it could not be analysed, and a file that breaks parsers may have been made to."
    verdict = Verdict(level="unknown", advice=advice)
    return Report(artifact=artifact, format="unknown", analysed=False, findings=(finding,), verdict=verdict)


def _report(
    artifact: Artifact,
    members: tuple[Member, ...],
    omitted: int,
    findings: list[Finding],
    *,
    lost: bool,
    hint: str = "unpack it and inspect what is in it",
) -> Report:
    """Not analysed where any of it was not, or where there is nothing to analyse."""
    findings.sort(key=lambda finding: (-finding.severity.rank, finding.id))
    analysed = bool(members) and not lost and all(member.report.analysed for member in members)
    if not members and not findings:
        detail = "There is no executable in it"
        findings = [Finding(id="no-executables", severity=Severity.LOW, title="Nothing to look at", detail=detail)]
    return Report(
        artifact=artifact,
        format="archive",
        analysed=analysed,
        findings=tuple(findings),
        verdict=_verdict(members, findings, hint=hint, analysed=analysed),
        members=members,
        members_omitted=omitted,
    )


def _verdict(members: tuple[Member, ...], findings: list[Finding], *, hint: str, analysed: bool) -> Verdict:
    """The worst member's, or worse where the archive itself is."""
    worst = min(members, key=lambda member: _LEVELS.index(member.report.verdict.level), default=None)
    if not analysed:
        if worst is not None and worst.report.verdict.level == "unknown":
            return Verdict(level="unknown", advice=f"Do not run it: {worst.path} could not be analysed.")
        said = findings[0].title[:1].lower() + findings[0].title[1:] if findings else "it could not be analysed"
        return Verdict(level="unknown", advice=f"Do not run what is in it: {said}; {hint}.")
    assert worst is not None  # noqa: S101 - what was analysed has members
    own = findings[0] if findings and findings[0].severity.rank >= Severity.MEDIUM.rank else None
    level = worst.report.verdict.level
    if own is not None and (own.severity.rank >= Severity.HIGH.rank or level == "ok"):
        level = "danger" if own.severity.rank >= Severity.HIGH.rank else "caution"
        return Verdict(level=level, advice=f"Be careful when you unpack it: {own.detail}")
    return Verdict(level=level, advice=f"The worst of its executables is {worst.path}: {worst.report.verdict.advice}")
