"""Where a bundle has its parts, and what its Info.plist may say of them."""

import plistlib
import time

import pytest
from built_bundle import (
    RESOURCE,
    Content,
    Link,
    Memory,
    info_plist,
)
from inspected_bundle import APP, SEAL, found, inspect

from binsafe.bundles import listing
from binsafe.errors import NotAnalysable
from binsafe.signatures import bundle
from binsafe.signatures.bundle import Tree


@pytest.mark.parametrize("named", ["app", "App"], ids=["in other letters", "through a link"])
def test_a_program_that_is_not_where_the_info_plist_says(named: str):
    """On a Mac both run: its disk does not tell letters' cases apart, and it follows links."""
    moved = {path: one for path, one in APP.items() if path not in {SEAL, "Contents/MacOS/App"}}
    moved |= {f"Contents/MacOS/{named}": Link("../Resources/App")} if named == "App" else {}
    moved |= {"Contents/Resources/App" if named == "App" else f"Contents/MacOS/{named}": APP["Contents/MacOS/App"]}
    assert ("malformed", "medium") in found(moved)


OTHER_KEYS = ["CFBundleExecutable-macos", "NSExecutable"]


@pytest.mark.parametrize("name", ["../../../bin/sh", "", ".", "..", "a/b", 7, ["x"]])
def test_info_plist_that_names_a_program_elsewhere(name: object):
    hostile = plistlib.dumps({"CFBundleExecutable": name})
    tree = Tree(Memory(APP | {"Contents/Info.plist": hostile}))
    one = bundle.find(tree)
    assert one is not None
    assert (one.executable, one.problem) == (None, f"the Info.plist names {name!r} as its program")
    assert inspect(APP | {"Contents/Info.plist": hostile}).verdict.level == "danger"


PROGRAM = "<key>CFBundleExecutable</key><string>{}</string>"


@pytest.mark.parametrize(
    "more", [PROGRAM.format("evil"), *(f"<key>{key}</key><string>evil</string>" for key in OTHER_KEYS)]
)
def test_info_plist_that_names_two_programs(more: str):
    """CoreFoundation obeys the key with the system's name behind it; of one key twice, some readers the first."""
    plist = f'<plist version="1.0"><dict>{more}{PROGRAM.format("App")}</dict></plist>'.encode()
    assert ("malformed", "medium") in found(APP | {"Contents/Info.plist": plist})
    assert found(APP | {"Contents/Info.plist": plist.replace(more.encode(), b"")}) == {("info-plist-hash", "high")}


@pytest.mark.parametrize("there", ["Contents/info.plist", "Contents/Resources/info"], ids=["letters", "link"])
def test_info_plist_that_only_a_mac_finds(there: str):
    bare = {path: one for path, one in APP.items() if path not in {SEAL, "Contents/Info.plist"}}
    assert ("malformed", "medium") not in found(bare)
    link = {"Contents/Info.plist": Link(f"../{there}")} if "Resources" in there else {}
    assert ("malformed", "medium") in found(bare | link | {there: info_plist("evil")})


@pytest.mark.parametrize("content", [b"", b"junk", b"bplist00" + b"\xff" * 40, plistlib.dumps([1])])
def test_info_plist_that_is_none(content: bytes):
    assert ("malformed", "medium") in found(APP | {"Contents/Info.plist": content})


XML, DOCTYPE = b'<?xml version="1.0" encoding="UTF-8"?>\n', b'<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "x">'


@pytest.mark.parametrize(
    "start",
    [
        b"<!-- by us -->",
        b"<!-- by us -->\n" + XML + DOCTYPE,
        XML + b"<!-- by us -->" + DOCTYPE,
        XML + b"<!------ by us ------>\n<!-- -- -->" + DOCTYPE + b"<!-- a -- b -->",
        b"\xef\xbb\xbf" + XML + b"<!-- by us -- -->",
        b"\n" + XML,
        DOCTYPE,
        b"<!-- -->" + XML.replace(b"UTF-8", b"UTF-16"),
    ],
)
def test_info_plist_that_begins_with_a_comment(start: bytes):
    """CoreFoundation skips all of that, and with it a declaration that does not come first."""
    rest = f'<plist version="1.0"><dict>{PROGRAM.format("App")}</dict></plist>'.encode()
    assert ("malformed", "medium") not in found(APP | {"Contents/Info.plist": start + rest})


@pytest.mark.parametrize(
    "start", [b"<!-- by us", b"<!--><!-- -->", b"<!---><!-- -->", b"<!-- --><!ENTITY a 'b'>", b"x"]
)
def test_info_plist_that_begins_with_what_is_no_comment_for_all(start: bytes):
    rest = f'<plist version="1.0"><dict>{PROGRAM.format("App")}</dict></plist>'.encode()
    assert ("malformed", "medium") in found(APP | {"Contents/Info.plist": start + rest})


def test_very_many_comments_take_no_time():
    before = time.process_time()
    assert ("malformed", "medium") in found(APP | {"Contents/Info.plist": b"<??>" * 1_000_000})
    assert ("malformed", "medium") in found(APP | {"Contents/Info.plist": b"<!--x" * 800_000})
    assert time.process_time() - before < 10


def test_flat_and_versioned_layouts_and_what_is_no_bundle():
    flat = {"Info.plist": info_plist("App"), "App": b"x"}
    assert inspect_layout(flat, "App.app") == ("", "App")
    assert inspect_layout(flat, "folder") is None
    several = {f"Versions/{version}/Kit": b"x" for version in "ABC"}
    assert inspect_layout(several, "Kit.framework") == ("Versions/C", "Versions/C/Kit")
    assert inspect_layout(several | {"Versions/Current": Link("B")}, "Kit.framework") == (
        "Versions/B",
        "Versions/B/Kit",
    )
    assert inspect_layout(several | {"Versions/Current": Link("../..")}, "Kit.framework") == (
        "Versions/C",
        "Versions/C/Kit",
    )
    with pytest.raises(NotAnalysable):
        inspect({"file": b"x"})


def inspect_layout(contents: dict[str, Content], name: str) -> tuple[str, str | None] | None:
    one = bundle.find(Tree(Memory(contents)), name=name)
    return None if one is None else (one.base, one.executable)


def test_listing_tells_trees_apart():
    trees = [APP, APP | {RESOURCE: b"other"}, APP | {"x": b""}, APP | {RESOURCE: Link("data.txt")}]
    assert len({listing(Memory(tree)) for tree in trees}) == len(trees)
    assert listing(Memory(APP)) == listing(Memory(dict(reversed(APP.items()))))


def test_flood_of_bundles_is_cut_and_said(monkeypatch: pytest.MonkeyPatch):
    from binsafe import bundles

    monkeypatch.setattr(bundles, "MAX_BUNDLES", 2)
    monkeypatch.setattr(bundles, "MAX_MEMBERS", 1)
    flood = APP | {path.replace("Kit.framework", "Two.framework"): one for path, one in APP.items()}
    report = inspect(flood)
    assert report.members_omitted > 0
    assert "members-omitted" in {finding.id for finding in report.findings}
