"""What bundles hold besides a program and its resources: plug-ins, receipts, bundles of resources, variables."""

import plistlib
import struct
import tracemalloc

import pytest
from built_bundle import RULES, Application, cdhash, info_plist, program, sealed
from inspected_bundle import APP, found, inspect
from signed_macho import Recipe, flip

from binsafe.signatures import bundle, plist
from binsafe.signatures.structure import StructureError


def test_a_plug_in_of_another_programs_kind():
    """codesign seals what lies in ``PlugIns`` or ``Library/Automator`` as code, whatever its name ends with."""
    place = "Contents/Library/Automator/Do.action"
    resources = {f"{place}/Contents/Resources/data.txt": b"data"}
    inner = plistlib.dumps({"files2": sealed(resources, f"{place}/Contents"), "rules2": RULES})
    code = program(Recipe(), info_plist("Do"), inner)
    listed = {"Library/Automator/Do.action": {"cdhash": cdhash(code), "requirement": "identifier x"}}
    contents = Application(listed=lambda others: others | listed).build() | resources
    contents |= {
        f"{place}/Contents/Info.plist": info_plist("Do"),
        f"{place}/Contents/MacOS/Do": code,
        f"{place}/Contents/_CodeSignature/CodeResources": inner,
    }
    assert found(contents) == set()
    assert found(contents | {f"{place}/Contents/MacOS/Do": flip(code, 0x1800)}) >= {("page-hash", "high")}
    changed = contents | {f"{place}/Contents/Resources/data.txt": b"other"}
    assert found(changed) == {("resource-seal", "high")}


def test_the_app_stores_receipt_is_made_after_the_signature():
    assert inspect(APP | {"Contents/_MASReceipt/receipt": b"made for who bought it"}).findings == ()
    assert found(APP | {"Contents/_MASReceipt/tool": b"another"}) == {("resource-seal", "high")}


def test_a_bundle_of_resources_alone_that_signs_itself():
    """Xcode signs what Swift's packages bring along, in files: there is no program to hold the signature."""
    place = "Contents/Resources/Words_Words.bundle/Contents"
    resources = {f"{place}/Info.plist": plistlib.dumps({"CFBundleIdentifier": "words"})}
    resources |= {f"{place}/_CodeSignature/{name}": b"<plist/>" for name in ("CodeResources", "CodeDirectory")}
    contents = Application(listed=lambda listed: listed | sealed(resources, "Contents")).build() | resources
    assert found(contents) == set()
    named = contents | {f"{place}/MacOS/tool": b"data"} | {f"{place}/Info.plist": info_plist("Tool")}
    assert ("malformed", "medium") in found(named), "on a Mac that is its program"


def test_a_bundle_of_resources_alone_that_names_a_program():
    """Those of CocoaPods do: it is there nowhere, and nothing misses it."""
    named = {"Contents/Resources/Words.bundle/Contents/Info.plist": info_plist("Words")}
    contents = Application(listed=lambda listed: listed | sealed(named, "Contents")).build() | named
    assert found(contents) == set()


def test_a_script_that_is_sealed_as_code_cannot_be_verified():
    """codesign signs scripts beside the program, and keeps their signatures in extended attributes."""
    listed = {"MacOS/start": {"cdhash": b"\1" * 20, "requirement": 'cdhash H"01"'}}
    contents = Application(listed=lambda others: others | listed).build()
    assert found(contents | {"Contents/MacOS/start": b"#!/bin/sh\n"}) == {("resource-seal", "medium")}
    assert found(contents | {"Contents/MacOS/start": b"data"}) == {("resource-seal", "high")}
    assert found(contents) == {("resource-seal", "high")}


@pytest.mark.parametrize(
    ("variables", "said"),
    [({"DYLD_INSERT_LIBRARIES": "/tmp/x.dylib"}, True), ({"LANG": "C"}, False), (["DYLD_INSERT_LIBRARIES"], False)],
)
def test_info_plist_that_sets_the_loaders_variables(variables: object, said: bool):
    """LaunchServices starts the program with them: Flashback lived that way in Safari."""
    info = plistlib.dumps({"CFBundleExecutable": "App", "LSEnvironment": variables})
    report = inspect(APP | {"Contents/Info.plist": info})
    named = [one.detail for one in report.findings if one.id == "dyld-environment"]
    assert ["DYLD_INSERT_LIBRARIES=/tmp/x.dylib" in detail for detail in named] == [True] * said


def test_of_long_variables_the_beginning_is_told():
    info = plistlib.dumps({"CFBundleExecutable": "App", "LSEnvironment": {"DYLD_INSERT_LIBRARIES": "/x" * 100_000}})
    [detail] = [one.detail for one in inspect(APP | {"Contents/Info.plist": info}).findings if "dyld" in one.id]
    assert "DYLD_INSERT_LIBRARIES=/x/x" in detail
    assert "...:" in detail
    assert len(detail) < 500


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.b/My.app/Contents/x.app/tool", "a.b/My.app"),
        ("My.APP/tool", "My.APP"),
        ("a.framework", None),  # a file
        ("x/.app/tool", None),
        ("x.apple/tool", None),
        ("x.app.d/tool", None),
        ("Contents/MacOS/tool", ""),
        ("x.jdk/Contents/My.app/tool", "x.jdk"),
        ("contents/tool", None),
        ("x/MyContents/tool", None),
        ("x/Contents", None),  # a file
    ],
)
def test_the_first_folder_that_is_called_as_a_bundle_is_or_has_contents(path: str, found: str | None):
    assert bundle.outermost(path) == found
    named = {part for part in path.split("/")[:-1] if bundle.suffix(part) in bundle.SUFFIXES}
    assert (found is None) == (not named and "Contents" not in path.split("/")[:-1])


def repeating(*keys: str, depth: int = 60) -> bytes:
    """A binary Info.plist with dictionaries inside each other, then lists that each hold the next one twice."""
    texts = [b"\x5f\x10" + bytes([len(key)]) + key.encode() for key in keys]
    objects = [part for n, text in enumerate(texts) for part in (bytes([0xD1, 2 * n + 1, 2 * n + 2]), text)]
    objects += [bytes([0xA2, at, at]) for at in range(len(objects) + 1, len(objects) + 1 + depth)] + [b"\x51x"]
    data, places = b"bplist00", b""
    for one in objects:
        places += struct.pack(">H", len(data))
        data += one
    return data + places + struct.pack(">6x2B3Q", 2, 1, len(objects), 0, len(data))


@pytest.mark.parametrize(
    "info",
    [
        repeating("CFBundleExecutable"),
        repeating("LSEnvironment", "DYLD_INSERT_LIBRARIES"),
        b"<plist><dict><key>CFBundleExecutable</key>" + b"<array>" * 2_000 + b"</array>" * 2_000 + b"</dict></plist>",
        b"<plist><dict><key>CFBundleExecutable</key><integer>0x" + b"1" * 5_000 + b"</integer></dict></plist>",
    ],
    ids=["a name", "a variable", "deep", "a number"],
)
def test_an_info_plist_that_would_never_be_told_to_its_end_cannot_be_used(info: bytes):
    findings = inspect(APP | {"Contents/Info.plist": info}).findings
    assert any("nested too deep, far longer" in finding.detail for finding in findings)


def test_a_list_that_holds_itself_many_times_takes_no_memory_to_refuse():
    """It is told to the end of one of its values before the next one is looked at."""
    count = 50_000
    objects = [b"\xd1\0\1\0\2", b"\x51a", struct.pack(">2BI", 0xAF, 0x12, count) + b"\0\2" * count]
    places = struct.pack(">3I", 8, 8 + len(objects[0]), 8 + len(objects[0]) + len(objects[1]))
    data = b"bplist00" + b"".join(objects)
    tracemalloc.start()
    with pytest.raises(StructureError, match="far longer"):
        plist.read(data + places + struct.pack(">6x2B3Q", 4, 2, 3, 0, len(data)), "it", most=1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20
