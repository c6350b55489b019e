"""Builds small signed bundles: an application with a framework, a dylib, a link and resources, as names and content."""

import hashlib
import plistlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from signed_macho import RESOURCES, Recipe

from binsafe.signatures.bundle import Entry

RULES = {
    "^.*": True,
    r"^(.*/)?\.DS_Store$": {"omit": True, "weight": 2000.0},
    r"^Info\.plist$": {"omit": True, "weight": 20.0},
    r"^PkgInfo$": {"omit": True, "weight": 20.0},
    r"^Resources/.*\.lproj/": {"optional": True, "weight": 1000.0},
}
FRAMEWORK = "Contents/Frameworks/Kit.framework"
DYLIB = "Contents/Frameworks/libhelp.dylib"
RESOURCE = "Contents/Resources/data.txt"


@dataclass(frozen=True)
class Link:
    target: str


Content = bytes | Link


class Memory:
    """A provider of files that are in memory."""

    def __init__(self, contents: Mapping[str, Content]) -> None:
        self.contents = contents
        self.entries = {
            path: Entry(kind="link", target=one.target) if isinstance(one, Link) else Entry(kind="file", size=len(one))
            for path, one in contents.items()
        }

    def read(self, path: str, size: int | None = None) -> memoryview:
        content = self.contents[path]
        assert isinstance(content, bytes)
        return memoryview(content)[:size]


def info_plist(program: str) -> bytes:
    return plistlib.dumps({"CFBundleExecutable": program, "CFBundleIdentifier": f"org.example.{program}"})


def program(recipe: Recipe, info: bytes, resources: bytes) -> bytes:
    """A program that seals these two files."""
    return Recipe(
        directories=recipe.directories, components=recipe.components, cms=recipe.cms,
        outside={1: info, RESOURCES: resources}, code_size=4096,
    ).build()  # fmt: skip


def sealed(contents: Mapping[str, Content], base: str) -> dict[str, object]:
    """``files2`` for everything below a folder, without code."""
    listed: dict[str, object] = {}
    for path, content in contents.items():
        name = path.removeprefix(f"{base}/") if base else path
        if isinstance(content, Link):
            listed[name] = {"symlink": content.target}
        elif name not in {"Info.plist", "PkgInfo"}:
            digest = hashlib.sha1(content, usedforsecurity=False).digest()
            listed[name] = {"hash": digest, "hash2": hashlib.sha256(content).digest()}
    return listed


@dataclass(frozen=True)
class Application:
    """An application's recipe; ``listed`` and ``rules`` edit the seal before it is signed."""

    recipe: Recipe = field(default_factory=Recipe)
    listed: Callable[[dict[str, object]], dict[str, object]] = lambda listed: listed
    rules: Mapping[str, object] = field(default_factory=lambda: RULES)
    version: int = 2

    def build(self) -> dict[str, Content]:
        contents: dict[str, Content] = {
            RESOURCE: b"data",
            "Contents/Resources/en.lproj/words.strings": b"words",
            "Contents/Resources/latest": Link("data.txt"),
            "Contents/PkgInfo": b"APPL????",
        }
        listed = sealed(contents, "Contents")
        listed["Resources/en.lproj/words.strings"] = {**listed["Resources/en.lproj/words.strings"], "optional": True}
        for path, code, files in (self._framework(), self._dylib()):
            listed[path.removeprefix("Contents/")] = {"cdhash": cdhash(code), "requirement": "identifier x"}
            contents |= files
        info = info_plist("App")
        suffix = "" if self.version == 1 else "2"
        seal = plistlib.dumps({f"files{suffix}": self.listed(listed), f"rules{suffix}": self.rules})
        return contents | {
            "Contents/Info.plist": info,
            "Contents/_CodeSignature/CodeResources": seal,
            "Contents/MacOS/App": program(self.recipe, info, seal),
        }

    def _framework(self) -> tuple[str, bytes, dict[str, Content]]:
        version = f"{FRAMEWORK}/Versions/A"
        files: dict[str, Content] = {f"{version}/Resources/Info.plist": info_plist("Kit")}
        seal = plistlib.dumps({"files2": sealed(files, version), "rules2": RULES})
        code = program(self.recipe, info_plist("Kit"), seal)
        files |= {
            f"{version}/_CodeSignature/CodeResources": seal,
            f"{version}/Kit": code,
            f"{FRAMEWORK}/Versions/Current": Link("A"),
            f"{FRAMEWORK}/Kit": Link("Versions/Current/Kit"),
            f"{FRAMEWORK}/Resources": Link("Versions/Current/Resources"),
        }
        return FRAMEWORK, code, files

    def _dylib(self) -> tuple[str, bytes, dict[str, Content]]:
        code = Recipe(directories=self.recipe.directories, cms=self.recipe.cms, code_size=300).build()
        return DYLIB, code, {DYLIB: code}


def cdhash(code: bytes) -> bytes:
    from signed_macho import thin_slice

    from binsafe.signatures import verify

    found = verify(thin_slice(code)).cdhash
    assert found is not None
    return bytes.fromhex(found)
