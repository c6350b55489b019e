"""The resource seal of a bundle: ``_CodeSignature/CodeResources`` lists every file beside the program with its hash.

Apple, TN2206 "macOS Code Signing In Depth"; Security framework, ``resources.cpp``. The list carries rules of its own,
regular expressions that say what was left out. They are not run: a pattern from a hostile file may take forever, and
what the usual rules leave out is known. A file that is neither listed nor usually left out was added, unless unusual
rules could have left it out: then that is said, and nothing is called valid.
"""

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

import msgspec

from binsafe.model import Problem, Signature
from binsafe.signatures import plist
from binsafe.signatures.bundle import Bundle, Tree, is_inside, join
from binsafe.signatures.structure import Outcome, StructureError, enumerate_some

MAX_BYTES: Final = 16 * 1024**2
"""Largest list; one of 6,500 files has 1.5 MB."""

_DESIGNATED: Final = "designated => "
_CDHASH: Final = re.compile('h"([0-9a-f]{40})"')
_CDHASHES: Final = re.compile('cdhash H"[0-9a-fA-F]{40}"(?: or cdhash H"[0-9a-fA-F]{40}")*')
"""The requirement that codesign makes up for code without a certificate: one hash for each slice."""
_TEAM: Final = re.compile(r'certificate leaf\[subject\.OU\] = "?(\w+)')
_SIGNER: Final = re.compile(r'certificate leaf\[subject\.CN\] = "?([^"]+)')
"""Whose certificate a requirement wants, by team or by name."""
_APPLES_OWN: Final = re.compile(r"anchor apple(?! generic)")
"""That it must be Apple's own software."""
_LEFT_OUT: Final = frozenset({"Info.plist", "PkgInfo", "CodeResources", "_MASReceipt/receipt"})
"""At the top: sealed by the program's own signature, or made after it, as the notarization ticket and the App Store's
receipt are (Security framework, ``BundleDiskRep::adjustResources``)."""

_USUAL: Final = frozenset(
    {
        r"^(.*/)?\.DS_Store$",
        r"^Info\.plist$",
        r"^PkgInfo$",
        r"^.*\.lproj/locversion.plist$",
        r"^(.*\.lproj/)?locversion.plist$",
        r"^Resources/.*\.lproj/locversion.plist$",
    }
)
"""Rules that leave something out, as codesign writes them."""


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """What the seal says of one name: a file's hashes, a link's target, or nested code by cdhash and requirement."""

    sha256: bytes | None = None
    sha1: bytes | None = None
    optional: bool = False
    target: str | None = None
    cdhash: bytes | None = None
    requirement: str | None = None

    @property
    def is_code(self) -> bool:
        """Whether it is code with a signature of its own, a bundle or a file."""
        return self.cdhash is not None or self.requirement is not None


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """A list of sealed names. Version 1, before OS X 10.9, covers ``Resources/`` only, and no code."""

    version: int
    names: Mapping[str, Sealed]
    unusual: tuple[str, ...]
    """Rules that leave out what is not usually left out."""


def read(data: memoryview) -> Seal:
    """The seal in a CodeResources file.

    Raises:
        StructureError: it cannot be read.
    """
    values = plist.read(data, "the resource seal", most=MAX_BYTES)
    version, suffix = (2, "2") if "files2" in values else (1, "")
    files, rules = (values.get(f"{name}{suffix}") for name in ("files", "rules"))
    if not isinstance(files, dict) or not isinstance(rules, dict | None):
        raise StructureError("the resource seal does not list files")
    unusual = tuple(
        str(pattern)
        for pattern, rule in sorted((rules or {}).items(), key=str)
        if isinstance(rule, dict) and rule.get("omit") and pattern not in _USUAL
    )
    return Seal(version=version, names={str(name): _sealed(said) for name, said in files.items()}, unusual=unusual)


def _sealed(said: Any) -> Sealed:
    if isinstance(said, bytes):
        return Sealed(sha1=said)
    if not isinstance(said, dict):
        raise StructureError("the resource seal says something of a file that is not understood")
    sealed = Sealed(
        sha256=_typed(said, "hash2", bytes),
        sha1=_typed(said, "hash", bytes),
        optional=bool(said.get("optional")),
        target=_typed(said, "symlink", str),
        cdhash=_typed(said, "cdhash", bytes),
        requirement=_typed(said, "requirement", str),
    )
    if sealed.sha256 is None and sealed.sha1 is None and sealed.target is None and not sealed.is_code:
        raise StructureError("the resource seal lists a file without a hash")
    return sealed


def _typed(said: Mapping[str, Any], name: str, kind: type) -> Any:
    value = said.get(name)
    if value is not None and not isinstance(value, kind):
        raise StructureError("the resource seal says something of a file that is not understood")
    return value


def check(seal: Seal, bundle: Bundle, tree: Tree, code: Mapping[str, tuple[Signature, ...]]) -> Outcome:
    """Compare a bundle with its seal; ``code`` has the signatures of its other executables, by slice.

    A nested bundle is found in ``code`` under its folder, a file under its path.
    """
    places = {name: tree.spelled(join(bundle.base, name)) for name in seal.names}
    if len(set(places.values())) < len(places):
        return Outcome(problems=(_problem(bundle, "its seal lists a file by more than one name"),))
    covered = {places[name] for name, sealed in seal.names.items() if sealed.is_code}
    scripts = {path for path in covered if path not in code and _is_script(path, tree)}
    changed = sorted(
        f"{name} {what}"
        for name, sealed in seal.names.items()
        if (path := places[name]) not in scripts and (what := _difference(sealed, path, tree, code)) is not None
    )
    added = [path for path in _unlisted(frozenset(places.values()), bundle, tree, code) if not is_inside(path, covered)]
    problems: list[Problem] = []
    unverified: list[str] = []
    if changed:
        problems.append(
            _problem(bundle, f"{len(changed)} sealed files are not as they were: {enumerate_some(changed)}")
        )
    if added and not seal.unusual and seal.version > 1:
        problems.append(_problem(bundle, f"{len(added)} files were added: {enumerate_some(added)}"))
    elif added:
        unverified.append(f"{len(added)} files that its resource seal leaves out: {enumerate_some(added)}")
    if scripts:
        where = "scripts whose signatures stand in extended attributes, which are not read here"
        unverified.append(f"{len(scripts)} {where}: {enumerate_some(sorted(scripts))}")
    return Outcome(problems=tuple(problems), unverified=tuple(unverified))


def _is_script(path: str, tree: Tree) -> bool:
    return tree.is_file(path) and bytes(tree.files.read(path, 2)) == b"#!"


def _difference(sealed: Sealed, path: str, tree: Tree, code: Mapping[str, tuple[Signature, ...]]) -> str | None:
    """How a name differs from what was sealed; None where it does not."""
    entry = tree.entries.get(path)
    if sealed.is_code:
        if path not in code:
            return "is missing" if entry is None else "is not the code it was"
        slices = [*code[path], *_other_versions(path, code)]
        return None if slices and all(_is_sealed(one, sealed) for one in slices) else "is other code"
    if entry is None:
        return None if sealed.optional else "is missing"
    if sealed.target is not None:
        return None if entry.kind == "link" and entry.target == sealed.target else "leads somewhere else"
    if entry.kind != "file":
        return "is no file"
    content = tree.files.read(path)
    digest = hashlib.sha256(content) if sealed.sha256 else hashlib.sha1(content, usedforsecurity=False)
    return None if digest.digest() == (sealed.sha256 or sealed.sha1) else "was changed"


def _other_versions(path: str, code: Mapping[str, tuple[Signature, ...]]) -> Iterator[Signature]:
    """What can be loaded from a framework beside its current version; macOS wants it to be by the same signer."""
    for name, slices in code.items():
        if posixpath.dirname(name) == f"{path}/Versions" and slices != code[path]:
            yield from slices


def _is_sealed(signature: Signature, sealed: Sealed) -> bool:
    """By its cdhash, or by meeting the requirement, which is what macOS asks: a newer version by the same signer.

    Every slice has to: the seal has the cdhash of one, and for code without a certificate a requirement that lists all.
    Other requirements are not evaluated: they are met by code whose own designated requirement has the same words, and
    whose signature is not broken and is by whom they name: anybody who has a certificate of Apple's can copy the words.
    """
    known = {sealed.cdhash.hex()} if sealed.cdhash is not None else set()
    if sealed.requirement is not None and _CDHASHES.fullmatch(sealed.requirement):
        known.update(_CDHASH.findall(sealed.requirement.lower()))
    if not known.isdisjoint(signature.cdhashes):
        return True
    trusted = signature.chain == "apple-root" and signature.status in {"valid", "unknown"}
    if not trusted or sealed.requirement is None or signature.requirements != _DESIGNATED + sealed.requirement:
        return False
    if _APPLES_OWN.search(sealed.requirement):
        return signature.kind == "apple"
    names = {one.common_name for one in signature.signers[:1]}
    return signature.team_id in _TEAM.findall(sealed.requirement) or bool(
        names.intersection(_SIGNER.findall(sealed.requirement))
    )


def _unlisted(listed: AbstractSet[str], bundle: Bundle, tree: Tree, code: Iterable[str]) -> Iterator[str]:
    """Names in the bundle that are not ``listed`` in the seal and that are not left out by the usual rules."""
    own = {bundle.executable, bundle.code_resources}
    versions = {name for name in code if posixpath.dirname(name) == join(bundle.root, "Versions")}
    for path in tree.below(bundle.root):
        inside = not bundle.base or path.startswith(f"{bundle.base}/")
        name = path[len(bundle.base) + 1 :] if bundle.base and inside else path
        if path in own or path in listed or (inside and name in _LEFT_OUT):
            continue
        if f"/{name}".endswith(("/.DS_Store", ".lproj/locversion.plist")):
            continue
        if inside or not _belongs(path, bundle, tree, versions):
            yield path


def _belongs(path: str, bundle: Bundle, tree: Tree, versions: AbstractSet[str]) -> bool:
    """Whether a name beside the sealed folder may be there: part of a version with a program, or a link into one."""
    target = _target(path, tree)
    if target is None:
        return is_inside(path, versions)
    return is_inside(target, {bundle.base, join(bundle.root, "Versions/Current")})


def escaping(tree: Tree) -> Iterator[Problem]:
    """Links that lead out of the tree: what they mean is another thing on each machine."""
    found = [path for path in tree.paths if (target := _target(path, tree)) and not _stays(target)]
    if found:
        detail = f"{len(found)} links lead out of the bundle: {enumerate_some(found)}"
        yield Problem(id="resource-seal", detail=detail)


def _target(path: str, tree: Tree) -> str | None:
    """Where a link leads, by its text alone; None for what is no link."""
    entry = tree.entries[path]
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), entry.target)) if entry.kind == "link" else None


def _stays(target: str) -> bool:
    return target != ".." and not target.startswith(("/", "../"))


def _problem(bundle: Bundle, detail: str) -> Problem:
    return Problem(id="resource-seal", detail=f"{bundle.root or 'the bundle'}: {detail}")
