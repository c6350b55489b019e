"""One pass over an archive and the archives inside of it: members with their reports, and what is wrong on the way."""

import hashlib
from collections.abc import Callable
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import msgspec

from binsafe import containers, formats
from binsafe.archives import hooks
from binsafe.archives.bundlefiles import BundleFiles
from binsafe.archives.reporting import Some, broke_the_parser, finding, report_on
from binsafe.bundles import inspect_bundle, listing
from binsafe.containers import Budget, Entry, Trouble, Unreadable, appledouble, ars, tars, zip_directory
from binsafe.containers.diskimages import is_disk_image
from binsafe.containers.entries import Stream
from binsafe.containers.names import Names, clean
from binsafe.errors import NotAnalysable
from binsafe.inspection import inspect as inspect_file
from binsafe.inspection import notes
from binsafe.limits import MAX_ARCHIVE_DEPTH, MAX_BUNDLE_BYTES, MAX_MEMBER_BYTES, MAX_MEMBERS, MAX_NAME_BYTES
from binsafe.model import Artifact, Member, Report, Severity
from binsafe.model.report import LEVELS
from binsafe.signatures import bundle as bundles

_FEW_SCRIPTS = 5
_MAX_APPLEDOUBLE = 64 * 1024
_UNMARKED = (".dmg", ".iso", ".vhd", ".vhdx", ".msi", ".lzma", ".tlz", ".lzh", ".lha", ".arj", ".ace")
"""How names of images, installers and archives end whose first bytes show nothing. All have zeros in them."""


def is_archive(data: memoryview) -> bool:
    """Whether the first bytes are an archive's or a compressed file's, or the last ones a disk image's."""
    kind = formats.identify(data)
    return kind == "archive" or (kind == "unknown" and (is_disk_image(data) or _is_old_tar(data)))


def _is_old_tar(head: bytes | memoryview) -> bool:
    """Whether it is a tar archive, those from before ustar included, which have no mark."""
    return tars.is_header(bytes(head[: tars.BLOCK]))


def _is_bundle(root: str, files: BundleFiles) -> bool:
    """Whether a folder is one; if its name does not say so, it takes more than any ``Contents``."""
    tree = bundles.Tree(files)
    filled = bundles.is_named(root) or tree.has("Contents/Info.plist") or tree.is_folder("Contents/MacOS")
    return filled and bundles.find(tree, name=PurePosixPath(root).name) is not None


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
        return report_on(artifact, (), 0, [finding(Trouble("archive", str(error)))], hint=hint, lost=True)
    return walk.report()


class _Place(NamedTuple):
    """Where an entry lies: its path, how deep in which archive, and what its own entries' paths begin with."""

    path: str
    inside: str
    budget: Budget
    depth: int


class _Walk:
    """One pass over an archive and the archives inside of it."""

    def __init__(self, artifact: Artifact, watch: Watch, *, syscalls: bool, listings: bool) -> None:
        self._artifact = artifact
        self._watch = watch
        self._syscalls = syscalls
        self._listings = listings
        self._members: list[Member] = []
        self._omitted = 0
        self._bundles: dict[str, BundleFiles] = {}
        self._kept_bytes = 0
        self._troubles: dict[str, Some] = {}
        self._lost = False
        self._noted: dict[str, dict[str, Any]] = {}
        self._scripts = Some(_FEW_SCRIPTS)
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
            if self._is_late(f"{prefix}{entry.name[:MAX_NAME_BYTES]}"):
                return
            wrong = tuple(names.check(entry))
            for trouble in wrong:
                self._trouble(trouble)
            if any(trouble.lost for trouble in wrong):
                continue
            is_debian = is_debian or entry.name == ars.DEBIAN
            path = prefix + clean(entry.name)
            try:
                self._entry(entry, _Place(path, prefix if is_debian else f"{path}/", budget, depth), name)
            except Unreadable as error:
                self._trouble(Trouble(error.finding, f"{path}: {error}"))

    def _entry(self, entry: Entry, place: _Place, archive: str) -> None:
        path, stream = place.path, entry.stream
        root = bundles.outermost(path)
        kept = None if root is None else self._bundles.setdefault(root, BundleFiles(place.budget, place.depth))
        name = path[len(bundles.join(root or "", "")) :]
        self._note(path, set_id=entry.set_id)
        if stream is None:
            if entry.kind != "folder":  # of a link Python's zipfile makes a file with the target in it
                self._hooks(entry, path, archive, entry.target.encode("utf-8", "replace"))
            if kept is not None and entry.kind != "folder":
                self._keep(kept, name, bundles.Entry(kind=entry.kind, target=entry.target))
            return
        head = stream.read(formats.HEAD_BYTES)
        described = appledouble.described(path) if head.startswith(appledouble.MAGIC) else None
        if described is not None:
            found = appledouble.noted(head + stream.read(_MAX_APPLEDOUBLE))
            self._note(described, quarantine=found.quarantine, attributes=found.attributes)
        elif kept is not None or hooks.is_place(clean(entry.name), archive):
            data = self._whole(stream, head)
            self._hooks(entry, path, archive, data)
            if kept is not None:  # npm does not mind what the folder is called that is its package
                self._keep(kept, name, bundles.Entry(kind="file", size=len(data)), data)
            else:
                self._file(BytesIO(data[len(head) :]), head, place)
        else:
            self._file(stream, head, place)

    def _hooks(self, entry: Entry, path: str, archive: str, data: bytes) -> None:
        name = clean(entry.name)
        for what in hooks.told(name, archive, data) if hooks.is_place(name, archive) else ():
            self._trouble(Trouble("install-hook", f"{path} {what}", lost=False))

    def _file(self, stream: Stream, head: bytes, place: _Place) -> None:
        kind, path = formats.identify(head), place.path
        if kind == "script" or (kind == "unknown" and formats.stranger(head)):
            self._scripts.add(path)
        elif kind in formats.FORMATS:
            self._member(path, self._whole(stream, head))
        elif kind == "archive" or _is_old_tar(head):
            self._nested(stream, head, place)
        elif path.lower().endswith(_UNMARKED) and (b"\0" in head or b"\0" in self._whole(stream, head)):
            raise Unreadable("images, installers and archives of its kind are not read here", "archive")
        elif path.lower().endswith(containers.ZIPS) and zip_directory.ends(memoryview(self._whole(stream, head))):
            raise Unreadable("something stands before it, which makes it no archive for some", "archive")
        elif hooks.is_script(path):
            self._scripts.add(path)

    def _nested(self, stream: Stream, head: bytes, place: _Place) -> None:
        path, inside, budget, depth = place
        if depth >= MAX_ARCHIVE_DEPTH:
            self._trouble(Trouble("archive-depth", f"{path} lies {depth} archives deep"))
            return
        self.archive(memoryview(self._whole(stream, head)), path, inside, budget, depth=depth + 1)

    @staticmethod
    def _whole(stream: Stream, head: bytes) -> bytes:
        data = head + stream.read(MAX_MEMBER_BYTES + 1 - len(head))
        if len(data) > MAX_MEMBER_BYTES:
            raise Unreadable(f"it has more than {MAX_MEMBER_BYTES:,} bytes", "member-too-large")
        return data

    def _keep(self, kept: BundleFiles, name: str, entry: bundles.Entry, data: bytes = b"") -> None:
        """Keep a file of a bundle until all of them are there: its seal is over all."""
        if name in kept.entries:  # a bundle has one file of a name
            raise Unreadable("a second file of that name in a bundle was not looked at", "archive-entry")
        self._kept_bytes += len(data) + name.count("/") * len(name)  # all folders have a name there
        if self._kept_bytes > MAX_BUNDLE_BYTES:
            raise Unreadable(f"bundles have more than {MAX_BUNDLE_BYTES:,} bytes", "member-too-large")
        kept.entries[name] = entry
        kept.data[name] = data

    def _bundle(self, root: str, files: BundleFiles) -> None:
        size = sum(len(data) for data in files.data.values())
        shown, place = root or "Contents", bundles.join(self._artifact.path, root).rstrip("/")
        artifact = Artifact(name=shown, path=place, size=size, sha256=listing(files))
        try:
            report = inspect_bundle(artifact, files, syscalls=self._syscalls, listings=self._listings)
        except NotAnalysable as error:
            self._trouble(Trouble(error.finding, f"{shown}: {error}"))
        else:
            self._add(Member(path=shown, report=report))

    def _folder(self, root: str, files: BundleFiles) -> None:
        """Look one by one at the files of a folder that has only the name of a bundle."""
        if files.may_be_one and bundles.is_named(root):
            detail = f"{root} has no layout of a program that is known here: its files were looked at one by one"
            self._trouble(Trouble("archive-entry", detail, lost=False))
        for name, entry in files.entries.items():
            path, stream = bundles.join(root, name), BytesIO(files.data[name])
            try:
                if entry.kind == "file":
                    place = _Place(path, f"{path}/", files.budget, files.depth)
                    self._file(stream, stream.read(formats.HEAD_BYTES), place)
            except Unreadable as error:
                self._trouble(Trouble(error.finding, f"{path}: {error}"))

    def _member(self, path: str, data: bytes) -> None:
        if self._is_late(path):
            return
        number, self._number = self._number, self._number + 1
        sha256 = hashlib.sha256(data).hexdigest()
        place = f"{self._artifact.path}/{path}"
        artifact = Artifact(name=path, path=place, size=len(data), sha256=sha256)
        if number in self._watch.broken:
            report = broke_the_parser(artifact)
        else:
            self._watch.begin(number)
            report = inspect_file(artifact, memoryview(data), syscalls=self._syscalls, listings=self._listings)
        self._add(Member(path=path, report=report))

    def _is_late(self, path: str) -> bool:
        """Whether the time is up, which is then noted: many entries take it, too, and not only programs."""
        if not self._watch.expired():
            return False
        self._trouble(Trouble("members-omitted", f"{path} and what follows: the time for one archive was used up"))
        return True

    def _add(self, member: Member) -> None:
        """Keep a member; of too many the harmless ones go first."""
        self._members.append(member)
        if len(self._members) > MAX_MEMBERS:
            best = max(self._members, key=lambda member: LEVELS.index(member.report.verdict.level))
            self._members.remove(best)
            self._omitted += 1

    def _trouble(self, trouble: Trouble) -> None:
        self._troubles.setdefault(trouble.finding, Some()).add(trouble.detail)
        self._lost = self._lost or trouble.lost

    def report(self) -> Report:
        """What came of it, once all entries have been seen."""
        while self._bundles:  # a folder with the name of one may hold archives with others
            root, files = self._bundles.popitem()
            (self._bundle if _is_bundle(root, files) else self._folder)(root, files)
        findings = list(notes(self._artifact))
        findings += [finding(Trouble(kind, f"{some}.")) for kind, some in self._troubles.items()]
        if self._scripts.count:
            findings.append(finding(Trouble("scripts", f"{self._scripts.count}: {self._scripts}"), Severity.INFO))
        members = tuple(self._with_notes(member) for member in self._members)
        return report_on(self._artifact, members, self._omitted, findings, lost=self._lost)

    def _note(self, path: str, **facts: object) -> None:
        """Keep what stands beside a file's bytes, before or behind them in the archive."""
        known = {name: fact for name, fact in facts.items() if fact}
        if known:
            self._noted.setdefault(path, {}).update(known)

    def _with_notes(self, member: Member) -> Member:
        found = self._noted.get(member.path)
        if found is None:
            return member
        artifact = msgspec.structs.replace(member.report.artifact, **found)
        findings = (*member.report.findings, *notes(artifact))
        report = msgspec.structs.replace(member.report, artifact=artifact, findings=findings)
        return Member(path=member.path, report=report)
