"""What it is made of: the kind of file, libraries and where they are looked for, dependencies, tools, texts."""

from binsafe.difference.changes import Changes
from binsafe.model import Artifact, Severity, SliceReport, Strings
from binsafe.model.report import FILE_CAPABILITIES

_MEDIUM, _LOW, _INFO = Severity.MEDIUM, Severity.LOW, Severity.INFO


def beside(changes: Changes, old: Artifact, new: Artifact, where: str) -> None:
    """What the system keeps beside the bytes: rights that whoever starts it gets, and further attributes."""
    changes.names("gained-rights", _MEDIUM, "rights", _rights(old), _rights(new), where)
    changes.names("gained-attribute", _INFO, "attribute", _attributes(old), _attributes(new), where)


def _attributes(artifact: Artifact) -> set[str]:
    return {f"{name}: {said}" for name, said in (artifact.attributes or {}).items() if name != FILE_CAPABILITIES}


def _rights(artifact: Artifact) -> set[str]:
    given = (artifact.attributes or {}).get(FILE_CAPABILITIES, "")
    user = {f"runs as {artifact.set_id}"} if artifact.set_id else set()
    return user | {f"gets {right}" for right in given.split(", ") if right}


def identity(changes: Changes, old: SliceReport, new: SliceReport, where: str) -> None:
    """Its system, what kind of file it is, and how it is linked."""
    for name in ("system", "kind", "linkage"):
        was, now = getattr(old, name), getattr(new, name)
        if was != now:
            changes.add("changed-format", _LOW, name, f"{was or 'none'} -> {now or 'none'}", where)


def libraries(changes: Changes, old: SliceReport, new: SliceReport, where: str) -> None:
    """What the loader is asked for, the folders that it looks in, and the loader itself."""
    had, has = ([each.name for each in part.libraries] for part in (old, new))
    if old.system == new.system == "windows":  # whose file names know no case
        spelt = {name.lower(): name for name in had}
        has = [spelt.get(name.lower(), name) for name in has]
    changes.names("gained-library", _LOW, "library", had, has, where)
    changes.names("gained-rpath", _MEDIUM, "rpath", old.rpaths, new.rpaths, where)
    if old.interpreter != new.interpreter:
        said = f"{old.interpreter or 'none'} -> {new.interpreter or 'none'}"
        severity = _MEDIUM if old.linkage == new.linkage else _INFO
        changes.add("changed-interpreter", severity, "loader", said, where)


def build(changes: Changes, old: SliceReport, new: SliceReport, where: str) -> None:
    """Dependencies that were built in, with their versions, and what built it."""
    before, after = _dependencies(old), _dependencies(new)
    unrecorded = [_unrecorded(part) for part in (old, new)]
    if unrecorded[0] != unrecorded[1]:
        side = "old" if unrecorded[0] else "new"
        changes.unknown(f"dependencies of {where}: the {side} one does not record them", "dependency")
        before = after = {}
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            said = f"{name}: {before.get(name, 'none')} -> {after.get(name, 'none')}"
            changes.add("changed-dependency", _INFO, "dependency", said, where)
    for label, value in _versions(old).items():
        now = _versions(new)[label]
        if value != now:
            said = f"{label}: {value or 'none'} -> {now or 'none'}"
            changes.add("changed-build", _INFO, "build", said, where)


def strings(changes: Changes, old: Strings, new: Strings, where: str) -> None:
    """Texts that are new or gone; lists of them are cut, and what is not shown is not absent."""
    for label in ("secrets", "urls", "addresses", "paths"):
        before = {text.value: text for text in getattr(old, label)}
        after = {text.value: text for text in getattr(new, label)}
        cut = [getattr(side, f"{label}_total") > len(getattr(side, label)) for side in (old, new)]
        if cut[0] and after.keys() - before.keys():
            changes.not_compared.append(f"{label}: the old report shows only some, so that some of the new may be old")
        if cut[1]:
            changes.unknown(f"{label}: the new report shows only some, so that there may be more", "string")
            before = {value: text for value, text in before.items() if value in after}
        severity = _MEDIUM if label == "secrets" else _LOW
        changes.names("gained-string", severity, label, before, after, where)


def _unrecorded(part: SliceReport) -> bool:
    """Whether Go's record was removed, or there is none of crates."""
    go = part.build.go
    return go.version == "unknown" if go is not None else part.build.rust is None


def _dependencies(part: SliceReport) -> dict[str, str]:
    """Name -> version of the modules and crates that were built in."""
    go = part.build.go.dependencies if part.build.go is not None else ()
    rust = part.build.rust.crates if part.build.rust is not None else ()
    found: dict[str, str] = {}
    for line in (*go, *rust):
        name, _, version = line.partition(" ")
        found[name] = f"{found[name]}, {version}" if name in found else version
    return found


def _versions(part: SliceReport) -> dict[str, str | None]:
    build = part.build
    go = build.go.version if build.go is not None else None
    return {"go": go, "toolchain": build.toolchain, "sdk": build.sdk, "minimum system": build.minimum_os}
