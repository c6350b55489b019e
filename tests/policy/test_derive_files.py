"""The files that a program is granted: its loader, its libraries, a folder for temporary files."""

import msgspec
import pytest
from derived import FLAKY, calls_of, denied, policy_of
from made_reports import make_report, make_slice, syscalls

from binsafe import baselines
from binsafe.model import Library, ResolvedLibrary
from binsafe.policy import Request, derive, read_policy
from binsafe.policy.libraries import looked_for_beside, placed_by_the_mac

HASH = "ab" * 32


def test_files_are_changed_only_where_something_may_be_written():
    found = syscalls("mkdir", "unlink")
    assert not {"mkdir", "unlink"} & calls_of(policy_of(calls=found))
    assert {"mkdir", "unlink"} <= calls_of(policy_of(Request(write=("/data",)), calls=found))


def test_a_dynamic_program_may_read_its_loader_and_its_libraries():
    resolved = (
        ResolvedLibrary(name="/lib64/ld.so", path="/usr/lib64/ld.so", sha256=HASH, needed_by="program"),
        ResolvedLibrary(name="libc.so.6", path="/usr/lib/libc.so.6", sha256=HASH, needed_by="program"),
        ResolvedLibrary(name="libgone.so", path=None, needed_by="libc.so.6"),
        ResolvedLibrary(name="libodd.so", path="/usr/../odd\n", sha256=HASH, needed_by="program"),
    )
    policy = policy_of(linkage="dynamic", interpreter="/lib64/ld.so", resolved=resolved, calls=syscalls("read"))
    files = {grant.object: (grant.access, grant.reason) for grant in policy.of("read")}
    assert files["/lib64/ld.so"][0] == "loader"
    assert files["/usr/lib/libc.so.6"] == ("library", "library: needed by program")
    assert {path for path, (access, _) in files.items() if access} == {"/lib64/ld.so", "/usr/lib/libc.so.6"}
    assert "needed by libc.so.6" in denied(policy)["load libgone.so"].reason
    assert "load libodd.so" in denied(policy)
    assert read_policy(msgspec.json.encode(policy).decode(), "p.json") == policy


@pytest.mark.parametrize("path", [None, "/etc/shadow"])
def test_a_loader_or_library_that_was_not_read_as_one_may_not_be_read(path: str | None):
    resolved = tuple(ResolvedLibrary(name=n, path=path, needed_by="program") for n in ("/etc/shadow", "libx.so"))
    policy = policy_of(linkage="dynamic", interpreter="/etc/shadow", resolved=resolved)
    assert "/etc/shadow" not in {grant.object for grant in policy.of("read")}
    assert {"load /etc/shadow", "load libx.so"} <= denied(policy).keys()


def test_a_library_that_is_named_to_be_read_is_still_mapped():
    libc = ResolvedLibrary(name="libc.so.6", path="/usr/lib/libc.so.6", sha256=HASH, needed_by="program")
    policy = policy_of(Request(read=("/usr/lib/libc.so.6",)), linkage="dynamic", resolved=(libc,))
    assert [g.access for g in policy.of("read") if g.object == "/usr/lib/libc.so.6"] == ["library"]


def test_a_program_of_macos_may_read_libraries_that_are_not_the_systems():
    granted = {"/opt/x.dylib", "/opt/lib/y.so", "/Library/Frameworks/P.framework/Versions/3/P"}
    names = ("/usr/lib/libSystem.B.dylib", "@rpath/y", "/Users/me/.ssh/id_rsa", *sorted(granted))
    libraries = tuple(Library(name=name, kind="weak") for name in names)
    policy = policy_of(system="macos", arch="arm64", libraries=libraries)
    assert {g.object for g in policy.of("read") if g.access == "library"} == granted
    assert "--read" in denied(policy)["load /Users/me/.ssh/id_rsa"].reason


def test_a_folder_for_temporary_files_stands_in_for_the_one_that_goes_with_the_program():
    tool = baselines.load("cli_tool")
    own, named = (policy_of(Request(scratch=scratch), baseline=tool) for scratch in (None, "/mine"))
    assert "scratch" in {grant.object for grant in own.of("write")}
    assert {grant.object for grant in named.of("write")} == {"/mine", "/dev/null"}
    assert ("TMPDIR", "/mine") in {(grant.object, grant.access) for grant in named.of("environment")}
    assert {grant.object for grant in own.of("read")} == {grant.object for grant in named.of("read")}
    told = policy_of(Request(scratch="/mine", environment=(("TMPDIR", "/else"),)), baseline=tool)
    assert [grant.access for grant in told.of("environment") if grant.object == "TMPDIR"] == ["/else"]


def test_files_that_run_with_the_program_are_those_that_were_hashed():
    loader = ResolvedLibrary(
        name="ld.so", path="/usr/lib/ld.so", opened_as="/lib64/ld.so", sha256="cd" * 32, needed_by="program"
    )
    libc = ResolvedLibrary(
        name="libc.so.6",
        path="/usr/lib/libc.so",
        opened_as="/usr/../lib/libc.so",
        sha256="ef" * 32,
        needed_by="program",
    )
    unread = ResolvedLibrary(name="libx.so", path="/usr/lib/libx.so", opened_as="/lib/libx.so", needed_by="program")
    facts = {"linkage": "dynamic", "interpreter": "/lib64/ld.so", "resolved": (loader, libc, unread)}
    artifact = policy_of(**facts).artifact
    assert [(each.opened_as, each.execute) for each in artifact.files] == [
        ("/lib64/ld.so", True),
        ("/lib/libc.so", False),
    ]
    assert artifact.interpreter == "/lib64/ld.so"
    others = msgspec.structs.replace(make_report(make_slice(**facts)), format="mach-o")
    assert (derive(others, FLAKY, Request()).artifact.files, derive(others, FLAKY, Request()).artifact.interpreter) == (
        (),
        None,
    )


def test_libraries_that_a_mac_looks_for_beside_the_program():
    """Those that it does not start without, unless they are looked for elsewhere alone."""
    named = (("@rpath/a.dylib", "load"), ("@loader_path/b.dylib", "reexport"), ("@rpath/c.dylib", "weak"))
    libraries = tuple(Library(name=name, kind=kind) for name, kind in named)
    for rpaths, missing in (
        (("@loader_path",), ["@rpath/a.dylib", "@loader_path/b.dylib"]),
        (("@loader_path", "/opt/lib"), ["@rpath/a.dylib", "@loader_path/b.dylib"]),
        (("/opt/lib", "/usr/lib/swift", "@executable_path/../lib"), ["@rpath/a.dylib", "@loader_path/b.dylib"]),
        (("/opt/lib", "/usr/lib/swift"), ["@loader_path/b.dylib"]),
        (("/usr/lib/swift/",), ["@rpath/a.dylib", "@loader_path/b.dylib"]),
        (("@loader_path", "/usr/lib/swift"), ["@rpath/a.dylib", "@loader_path/b.dylib"]),
    ):
        policy = policy_of(system="macos", arch="arm64", libraries=libraries, rpaths=rpaths)
        assert looked_for_beside(policy) == placed_by_the_mac(policy) == missing


def test_swifts_libraries_are_the_systems():
    swift = (Library(name="@rpath/libswiftCore.dylib", kind="load"),)
    for rpaths, missing in (
        (("/usr/lib/swift", "@loader_path"), []),
        (("/opt/lib", "@loader_path", "/usr/lib/swift"), []),
        (("/opt/lib", "@loader_path"), [swift[0].name]),
        (("@loader_path",), [swift[0].name]),
    ):
        assert looked_for_beside(policy_of(system="macos", libraries=swift, rpaths=rpaths)) == missing


def test_a_library_without_a_folder_lies_where_the_program_is_started():
    bare = (Library(name="libav.dylib", kind="load"), Library(name="libx.dylib", kind="weak"))
    policy = policy_of(system="macos", arch="arm64", libraries=bare)
    assert (placed_by_the_mac(policy), looked_for_beside(policy)) == (["libav.dylib"], [])
    assert placed_by_the_mac(policy_of(system="linux", libraries=bare)) == []
