"""What a program for Windows asks for in its resources: the execution level of its manifest."""

import struct
import time

import executable_builders as build
import pytest
from parsed import only_slice

from binsafe.formats.pe_resources import execution_level
from binsafe.inspection import inspect
from binsafe.model import Artifact

OPTIONAL = 64 + 24


def with_manifest(manifest: bytes, *, kind: int = 24) -> bytes:
    """A resource of a kind, one name and one language, whose directories follow each other."""
    data = build.pe()
    build.put(data, OPTIONAL + 112 + 8 * 2, "<II", build.PE_IDATA + 0x200, 0x100)
    for at, number, below in ((0, kind, 1 << 31 | 24), (24, 1, 1 << 31 | 48), (48, 1033, 72)):
        build.put(data, 0x600 + 0x200 + at, "<12xHHII", 0, 1, number, below)
    build.put(data, 0x600 + 0x200 + 72, "<IIII", build.PE_IDATA + 0x300, len(manifest), 0, 0)
    data[0x600 + 0x300 : 0x600 + 0x300 + len(manifest)] = manifest
    return bytes(data)


LEVEL = "<requestedExecutionLevel uiAccess='false' level='%s'/>"


@pytest.mark.parametrize(
    ("manifest", "level"),
    [
        (LEVEL % "asInvoker", "asInvoker"),
        (LEVEL % "REQUIREadministrator", "requireAdministrator"),
        ('<a:requestedExecutionLevel\nlevel = "highestAvailable"></a:requestedExecutionLevel>', "highestAvailable"),
        (LEVEL % "asInvoker" + LEVEL % "requireAdministrator" + LEVEL % "asInvoker", "requireAdministrator"),
        (LEVEL % "&#114;equireAdministrator", "unread"),
        (LEVEL % "highest", "unread"),
        (LEVEL % "asInvoker' x=' level='requireAdministrator", "requireAdministrator"),
        ("<requestedExecutionLevel x=\"level='asInvoker'\" level='requireAdministrator'/>", "requireAdministrator"),
        ("<requestedExecutionLevel x=\"level='asInvoker'\" level='&#114;equireAdministrator'/>", "unread"),
        ("<assembly/>", None),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_what_a_manifest_asks_windows_for(manifest: str, level: str | None, encoding: str):
    assert only_slice(with_manifest(manifest.encode(encoding))).traits.get("execution_level") == level


def resources(kinds: list[int], names: int, languages: int, manifest: bytes) -> str | None:
    """What is read of a tree of resources in which all of a level lead to the same place below."""
    tree, text = b"", len(manifest)
    for numbers in (kinds, range(names), range(languages)):
        below = len(tree) + 16 + 8 * len(numbers)
        tree += struct.pack("<12xHH", 0, len(numbers)) + b"".join(struct.pack("<II", one, below) for one in numbers)
    tree += struct.pack("<IIII", 0x1000, text, 0, 0)
    return execution_level(memoryview(tree), lambda address: memoryview(manifest) if address == 0x1000 else None)


@pytest.mark.parametrize(
    ("kinds", "names", "languages", "more", "level"),
    [
        ([*range(200, 500), 24], 1, 1, 0, "requireAdministrator"),  # behind many of other kinds
        ([24], 8, 8, 0, "requireAdministrator"),
        ([24], 5, 13, 0, "unread"),
        ([24] * 65, 1, 1, 0, "unread"),
        ([24], 65, 1, 0, "unread"),
        ([24] * 5000, 5000, 5000, 0, "unread"),
        ([24] * 5000, 5000, 0, 0, "unread"),
        ([24], 1, 1, 1 << 20, "unread"),
        ([24], 64, 1, 1 << 15, "unread"),
    ],
)
def test_more_manifests_than_windows_takes_are_not_read(
    kinds: list[int], names: int, languages: int, more: int, level: str | None
):
    before = time.process_time()
    assert resources(kinds, names, languages, (LEVEL % "requireAdministrator").encode() + bytes(more)) == level
    assert time.process_time() - before < 10


@pytest.mark.parametrize(
    ("level", "library", "told"),
    [
        ("requireAdministrator", False, ["has the execution level requireAdministrator"]),
        ("highest", False, ["asks for what cannot be told"]),
        ("asInvoker", False, []),
        ("requireAdministrator", True, []),
    ],
)
def test_a_program_that_asks_for_an_administrators_rights_says_so(level: str, library: bool, told: list[str]):
    data = bytearray(with_manifest((LEVEL % level).encode()))
    struct.pack_into("<H", data, 64 + 22, 0x2022 if library else 0x22)
    report = inspect(Artifact(name="x", path="x", size=len(data), sha256=""), memoryview(data))
    assert [one.detail for one in report.findings if one.id == "administrator"] == [
        f"Its manifest {what}: so started, it can change all of the machine." for what in told
    ]


def test_other_resources_and_trees_that_lead_outside_ask_for_nothing():
    asking = (LEVEL % "requireAdministrator").encode()
    assert "execution_level" not in only_slice(with_manifest(asking, kind=23)).traits
    for at, value in ((20, 1 << 31 | 0xFFFF), (20, 0xFFFF_FFFF), (72, 0xFFFF_FFF0), (72, 0), (12, 0xFFFF)):
        data = bytearray(with_manifest(asking))
        build.put(data, 0x600 + 0x200 + at, "<I", value)
        assert only_slice(data).traits.get("execution_level") in {None, "requireAdministrator"}
