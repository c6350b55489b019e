"""Bundles, built and sealed here, then changed in one place each."""

import plistlib
import time
from collections.abc import Callable

import pytest
from built_bundle import (
    DYLIB,
    FRAMEWORK,
    RESOURCE,
    RULES,
    Application,
    Content,
    Link,
    info_plist,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from inspected_bundle import APP, SEAL, found, inspect
from signed_macho import LINKER_SIGNED, Directory, Recipe, flip

from binsafe.errors import NotAnalysable
from binsafe.model import Signature
from binsafe.signatures import seal
from binsafe.signatures.structure import StructureError


def test_untouched_bundle_is_valid():
    report = inspect(APP)
    assert (report.format, report.analysed, report.findings, report.members_omitted) == ("bundle", True, (), 0)
    assert [member.path for member in report.members] == [
        "Contents/MacOS/App",
        f"{FRAMEWORK}/Versions/A/Kit",
        DYLIB,
    ]
    for member in report.members:
        assert [part.signature.status for part in member.report.slices] == ["valid"]
    assert found(APP) == set()


def version(name: str, app: dict[str, Content] = APP) -> dict[str, Content]:
    """Another version of the framework, of the same content, or of another application's."""
    return {path.replace("Versions/A/", f"Versions/{name}/"): one for path, one in app.items() if "Versions/A/" in path}


CHANGES: dict[str, Callable[[], dict[str, Content]]] = {
    "changed resource": lambda: APP | {RESOURCE: b"other"},
    "resource turned into a link": lambda: APP | {RESOURCE: Link("en.lproj/words.strings")},
    "added resource": lambda: APP | {"Contents/Resources/more.txt": b"more"},
    "added dylib": lambda: APP | {"Contents/Frameworks/evil.dylib": Recipe(code_size=999).build()},
    "added dylib beside the program": lambda: APP | {"Contents/MacOS/evil.dylib": Recipe(code_size=999).build()},
    "added framework": lambda: (
        APP
        | {path.replace("Kit.framework", "Evil.framework"): one for path, one in APP.items() if "Kit.framework" in path}
    ),
    "added file beside Contents": lambda: APP | {"evil": b"x" * 100},
    "added file in a framework's folder": lambda: APP | {f"{FRAMEWORK}/evil": b"x" * 100},
    "code that only looks like an optional file": lambda: APP | {"Contents/Resources/en.lproj/evil.txt": b"x"},
    "other dylib, signed too": lambda: APP | {DYLIB: Recipe(code_size=999).build()},
    "dylib turned into data": lambda: APP | {DYLIB: b"data" * 100},
    "link that leads elsewhere": lambda: APP | {"Contents/Resources/latest": Link("en.lproj/words.strings")},
    "link out of the bundle": lambda: APP | {"Contents/Resources/out": Link("../../../../etc/passwd")},
    "absolute link": lambda: APP | {"Contents/Resources/out": Link("/etc/passwd")},
    "missing resource": lambda: {path: one for path, one in APP.items() if path != RESOURCE},
    "missing dylib": lambda: {path: one for path, one in APP.items() if path != DYLIB},
    "missing framework": lambda: {path: one for path, one in APP.items() if FRAMEWORK not in path},
    "edited seal": lambda: APP | {SEAL: APP[SEAL] + b"\n"},
    "missing seal": lambda: {path: one for path, one in APP.items() if path != SEAL},
    "seal of another bundle": lambda: APP | {SEAL: Application(rules={}).build()[SEAL]},
    "data in another version of a framework": lambda: APP | {f"{FRAMEWORK}/Versions/B/data": b"x" * 100},
    "library in another version of a framework": lambda: APP | {f"{FRAMEWORK}/Versions/B/evil.dylib": APP[DYLIB]},
    "program in another version of a framework": lambda: (
        APP | version("B") | {f"{FRAMEWORK}/Versions/B/Kit": APP[DYLIB]}
    ),
    "changed resource in another version": lambda: (
        APP | version("B") | {f"{FRAMEWORK}/Versions/B/Resources/more": b"x"}
    ),
    "framework whose current version is a folder": lambda: (
        {path: one for path, one in APP.items() if path != f"{FRAMEWORK}/Versions/Current"}
        | version("Current")
        | {f"{FRAMEWORK}/Versions/Current/Resources/more": b"x"}
    ),
    "program that seals no resources": lambda: APP | {"Contents/MacOS/App": APP[DYLIB]},
    "changed resource of a framework": lambda: APP | {f"{FRAMEWORK}/Versions/A/Resources/more": b"x"},
}


@pytest.mark.parametrize("what", CHANGES)
def test_each_change_breaks_the_seal(what: str):
    changed = CHANGES[what]()
    names = {name for name, _ in found(changed)}
    assert "resource-seal" in names, names
    assert inspect(changed).verdict.level == "danger"


def test_a_second_version_of_a_framework_by_the_same_signer():
    assert inspect(APP | version("B")).findings == ()
    assert len(inspect(APP | version("B")).members) == 4


def test_a_second_version_of_a_framework_by_somebody_else():
    """Nothing is wrong with it but that the application's seal names another one."""
    other = Application(recipe=Recipe(directories=(Directory(identifier=b"org.example.other"),))).build()
    assert found(APP | version("B", other)) == {("resource-seal", "high")}


@pytest.mark.parametrize("part", [SEAL, "Contents/Info.plist"])
def test_what_a_program_seals_and_its_bundle_lacks_breaks_its_signature(part: str):
    """codesign: "code has no resources but signature indicates they must be present"."""
    rest = {path: one for path, one in APP.items() if path != part}
    assert main_program(rest).status == "invalid"
    bare = {path: one for path, one in rest.items() if path != "Contents/MacOS/App"}
    assert main_program(bare | {"Contents/MacOS/tool": APP["Contents/MacOS/App"]}).status == "unknown", "another's"


@pytest.mark.parametrize(
    "elsewhere", [{SEAL.lower(): APP[SEAL]}, {SEAL: Link("../x")}, {"Contents/_CodeSignature": Link("x")}]
)
def test_a_seal_that_a_mac_may_find_is_not_called_missing(elsewhere: dict[str, Content]):
    rest = {path: one for path, one in APP.items() if path != SEAL}
    report = inspect(rest | elsewhere)
    assert (report.verdict.level, main_program(rest | elsewhere).status) == ("caution", "unknown")


def main_program(contents: dict[str, Content]) -> Signature:
    [member] = [one for one in inspect(contents).members if one.path.startswith("Contents/MacOS/")]
    return member.report.slices[0].signature


def test_changed_info_plist_is_named():
    changed = APP | {"Contents/Info.plist": info_plist("App") + b"\n"}
    assert found(changed) == {("info-plist-hash", "high")}


def test_unsigned_program_under_another_name():
    """The seal and the signed program are untouched; Info.plist starts another one."""
    evil = Recipe(directories=(Directory(flags=2 | LINKER_SIGNED),)).build()
    swapped = APP | {"Contents/MacOS/evil": evil, "Contents/Info.plist": info_plist("evil")}
    assert ("resource-seal", "high") in found(swapped)
    apart = inspect(swapped | {"Contents/_CodeSignature/CodeDirectory": b"\xfa\xde\x0c\x02"})
    (told,) = (one for one in apart.findings if one.id == "resource-seal" and "which are not read" in one.title)
    assert (told.severity, apart.verdict.level) == ("high", "danger")


def test_flipped_page_of_nested_code_is_named():
    code = APP[DYLIB]
    assert isinstance(code, bytes)
    assert found(APP | {DYLIB: flip(code, 0x1010)}) == {("page-hash", "high")}


def test_scripts_and_archives_of_a_bundle_are_named():
    """They may be sealed, and still nobody has looked at what they do."""
    kept = {"Contents/Resources/install": b"#!/bin/sh\n", "Contents/Resources/X.class": b"\xca\xfe\xba\xbe\0\0\0\x34"}
    kept |= {"Contents/Resources/more.zip": b"PK\x03\x04" + bytes(60)}
    (told,) = (one for one in inspect(APP | kept).findings if one.id == "scripts")
    assert told.severity == "info"
    assert all(path in told.detail for path in kept)


def test_optional_file_may_be_missing():
    words = "Contents/Resources/en.lproj/words.strings"
    assert found({path: one for path, one in APP.items() if path != words}) == set()
    assert ("resource-seal", "high") in found(APP | {words: b"other"})


def test_what_the_system_leaves_behind_is_no_change():
    left = {"Contents/.DS_Store": b"x", ".DS_Store": b"x", "Contents/Resources/.DS_Store": b"x"}
    assert found(APP | left | {"Contents/CodeResources": b"s8ch"}) == set()


def test_files_that_unusual_rules_leave_out_are_said_and_keep_it_from_being_good():
    """Rules once let signers leave out anything; the seal holds, and says nothing about these files."""
    app = Application(rules=RULES | {"^Resources/cache/": {"omit": True, "weight": 5000.0}}).build()
    assert found(app) == set()
    assert found(app | {"Contents/Resources/cache/evil": b"x"}) == {("resource-seal", "medium")}


def test_pattern_that_takes_forever_is_never_run():
    app = Application(rules=RULES | {"(a+)+$": {"omit": True}}).build()
    assert ("resource-seal", "medium") in found(app | {"Contents/Resources/" + "a" * 200 + "!": b"x"})


def test_seal_of_version_1_covers_no_code():
    def only_resources(listed: dict[str, object]) -> dict[str, object]:
        return {name: one["hash"] for name, one in listed.items() if "hash" in one}

    assert found(Application(version=1, listed=only_resources).build()) == {("resource-seal", "medium")}


def test_accents_may_be_written_in_two_ways():
    """A Mac's disk knows no difference; archives and other systems do."""

    def composed(listed: dict[str, object]) -> dict[str, object]:
        return listed | {"Resources/\xe9.txt": listed["Resources/data.txt"]}

    decomposed = "Contents/Resources/e\u0301.txt"
    app = Application(listed=composed).build()
    assert found(app | {decomposed: app[RESOURCE]}) == set()
    assert found(app | {decomposed: b"changed"}) == {("resource-seal", "high")}
    assert found(app | {decomposed: app[RESOURCE], "Contents/Resources/e\u0300.txt": b""}) == {
        ("resource-seal", "high")
    }
    both = app | {decomposed: b"changed", "Contents/Resources/\xe9.txt": app[RESOURCE]}
    assert found(both) == {("resource-seal", "high")}


def test_a_sealed_name_of_many_accents_takes_no_more_time_than_others():
    many = "Resources/a" + "\u0301\u0327" * 200_000
    before = time.process_time()
    assert found(Application(listed=lambda listed: listed | {many: listed["Resources/data.txt"]}).build()) == {
        ("resource-seal", "high")
    }
    assert time.process_time() - before < 20


def test_a_sealed_link_out_of_the_bundle_is_told():
    """Who sealed it cannot have seen what it leads to on this machine."""
    place = "Contents/Resources/out"
    for target, told in (
        ("../Info.plist", set()),
        ("../../../x", {("resource-seal", "high")}),
        ("/x", {("resource-seal", "high")}),
    ):
        app = Application(listed=lambda listed, to=target: listed | {"Resources/out": {"symlink": to}}).build()
        assert found(app | {place: Link(target)}) == told


def test_a_seal_that_lists_a_file_by_two_spellings_of_its_name_does_not_hold():
    """It would be hashed for each of them, of which a name with twenty accents has a million."""
    names = {"Resources/caf\xe9", "Resources/cafe\u0301"}
    app = Application(listed=lambda listed: listed | dict.fromkeys(names, listed[RESOURCE.removeprefix("Contents/")]))
    content = app.build()
    assert ("resource-seal", "high") in found(content | {"Contents/Resources/caf\xe9": content[RESOURCE]})


def test_a_seal_of_the_first_version_may_list_hashes_alone():
    def alone(listed: dict[str, object]) -> dict[str, object]:
        return {name: said["hash"] for name, said in listed.items() if "hash" in said}

    app = Application(version=1, listed=alone).build()
    assert ("resource-seal", "high") not in found(app)
    assert ("resource-seal", "high") in found(app | {RESOURCE: b"other"})


def test_bundle_that_only_its_linker_signed_has_no_seal_to_break():
    unsealed = Recipe(directories=(Directory(flags=2 | LINKER_SIGNED),)).build()
    report = inspect({"Contents/Info.plist": info_plist("App"), "Contents/MacOS/App": unsealed, RESOURCE: b"x"})
    assert (report.findings, report.verdict.level) == ((), "ok")
    assert "by the linker only" in report.verdict.advice


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"files2": []},
        {"files2": {"a": 1}},
        {"files2": {"a": {}}},
        {"files2": {"a": {"hash2": "text"}}},
        {"files2": {"a": {"symlink": b"x"}}},
        {"files2": {}, "rules2": []},
    ],
)
def test_seal_that_cannot_be_read_is_not_good(values: dict[str, object]):
    with pytest.raises(StructureError):
        seal.read(memoryview(plistlib.dumps(values)))


NAMES = st.lists(
    st.sampled_from(["Contents", "Versions", "A", "X.app", "Info.plist", "MacOS", "X"]), min_size=1, max_size=5
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES.map("/".join), st.binary(max_size=80), max_size=8))
def test_any_tree_is_survived(contents: dict[str, bytes]):
    try:
        report = inspect(dict(contents), name="X.app")
    except NotAnalysable:
        return
    assert report.verdict.level in {"unknown", "ok", "caution", "danger"}


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=6))
def test_any_edit_of_a_seal_is_survived_and_noticed(at: int, edit: bytes):
    content = APP[SEAL]
    assert isinstance(content, bytes)
    edited = content[:at] + edit + content[at + len(edit) :]
    assert edited == content or inspect(APP | {SEAL: edited}).verdict.level == "danger"
