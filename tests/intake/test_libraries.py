"""The closure of a dynamic program, as its loader would find it in a tree that a test made."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from shared_objects import install, shared_object

from binsafe.formats.elf_needs import needs
from binsafe.intake.libraries import Libraries
from binsafe.intake.summaries import Summaries
from binsafe.intake.tree import Tree

LOADER = "/lib64/ld-linux-x86-64.so.2"


def closure(root: Path, program: bytes, path: str = "/usr/bin/program") -> dict[str, tuple[str | None, str]]:
    """Name -> (path inside the tree, who needed it), in load order."""
    install(root, path, program)
    found = Libraries(needs(memoryview(program)), root / path.lstrip("/"), Tree(root), Summaries(None))
    return {library.name: (library.path, library.needed_by) for library in found.resolved}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    install(tmp_path, LOADER, shared_object(soname="ld-linux-x86-64.so.2"))
    return tmp_path


def program(*needed: str, **options: str) -> bytes:
    return shared_object(*needed, interpreter=LOADER, **options)


def test_the_closure_is_walked_breadth_first_and_each_library_comes_once(root: Path):
    install(root, "/lib/liba.so", shared_object("libc.so.6", "libd.so"))
    install(root, "/lib/libb.so", shared_object("liba.so", "libc.so.6"))
    install(root, "/lib/libc.so.6", shared_object("ld-linux-x86-64.so.2", soname="libc.so.6"))
    install(root, "/lib/libd.so", shared_object())
    assert closure(root, program("liba.so", "libb.so")) == {
        LOADER: (LOADER, "program"),
        "liba.so": ("/lib/liba.so", "program"),
        "libb.so": ("/lib/libb.so", "program"),
        "libc.so.6": ("/lib/libc.so.6", "liba.so"),
        "libd.so": ("/lib/libd.so", "liba.so"),
    }


def test_what_is_not_there_is_named_with_who_needs_it(root: Path):
    install(root, "/lib/liba.so", shared_object("libgone.so"))
    assert closure(root, program("liba.so"))["libgone.so"] == (None, "liba.so")


def test_a_library_for_another_processor_is_passed_over(root: Path):
    install(root, "/lib64/liba.so", shared_object(arch="arm64"))
    install(root, "/usr/lib/liba.so", shared_object())
    assert closure(root, program("liba.so"))["liba.so"] == ("/usr/lib/liba.so", "program")


def test_rpath_holds_for_what_the_libraries_need_and_runpath_does_not(root: Path):
    install(root, "/opt/liba.so", shared_object("libb.so"))
    install(root, "/opt/libb.so", shared_object())
    assert closure(root, program("liba.so", rpath="/opt"))["libb.so"] == ("/opt/libb.so", "liba.so")
    assert closure(root, program("liba.so", runpath="/opt"))["libb.so"] == (None, "liba.so")


def test_a_runpath_switches_the_rpath_of_the_same_file_off(root: Path):
    install(root, "/old/liba.so", shared_object())
    assert closure(root, program("liba.so", rpath="/old", runpath="/new"))["liba.so"] == (None, "program")


@pytest.mark.parametrize("token", ["$ORIGIN", "${ORIGIN}"])
def test_origin_is_the_folder_of_who_asks(root: Path, token: str):
    install(root, "/app/lib/liba.so", shared_object("libb.so", runpath=token))
    install(root, "/app/lib/libb.so", shared_object())
    found = closure(root, program("liba.so", runpath=f"{token}/../lib"), "/app/bin/program")
    assert found["liba.so"] == ("/app/lib/liba.so", "program")
    assert found["libb.so"] == ("/app/lib/libb.so", "liba.so")


def test_folders_of_the_configuration_and_of_what_it_includes(root: Path):
    install(root, "/etc/ld.so.conf", b"# folders\ninclude ld.so.conf.d/*.conf\n/second\n")
    install(root, "/etc/ld.so.conf.d/a.conf", b"/first # ours\ninclude /etc/ld.so.conf\n")
    install(root, "/first/liba.so", shared_object())
    install(root, "/second/liba.so", shared_object())
    install(root, "/second/libb.so", shared_object())
    found = closure(root, program("liba.so", "libb.so"))
    assert (found["liba.so"][0], found["libb.so"][0]) == ("/first/liba.so", "/second/libb.so")


def test_nothing_but_its_own_folders_for_who_says_nodeflib(root: Path):
    install(root, "/lib/liba.so", shared_object())
    assert closure(root, shared_object("liba.so", interpreter=LOADER, flags_1=0x800))["liba.so"][0] is None


def test_libraries_that_the_system_preloads(root: Path):
    install(root, "/etc/ld.so.preload", b"/lib/libspy.so\n")
    install(root, "/lib/libspy.so", shared_object())
    assert closure(root, program())["/lib/libspy.so"] == ("/lib/libspy.so", "interpreter")


def test_what_preloaded_libraries_need_comes_behind_what_the_program_needs(root: Path):
    install(root, "/etc/ld.so.preload", b"/lib/libspy.so\n")
    install(root, "/lib/libspy.so", shared_object("libc.so.6"))
    install(root, "/lib/libc.so.6", shared_object(soname="libc.so.6"))
    install(root, "/lib/libmalloc.so", shared_object("libc.so.6"))
    assert list(closure(root, program("libmalloc.so"))) == [LOADER, "/lib/libspy.so", "libmalloc.so", "libc.so.6"]


def test_musl_is_its_own_c_library_and_searches_as_musl_does(root: Path):
    musl = "/lib/ld-musl-x86_64.so.1"
    install(root, musl, shared_object(soname="libc.so"))
    install(root, "/etc/ld-musl-x86_64.path", b"/a:/b\n")
    install(root, "/b/liba.so", shared_object("libc.musl-x86_64.so.1"))
    found = closure(root, shared_object("liba.so", "libc.musl-x86_64.so.1", interpreter=musl))
    assert found == {musl: (musl, "program"), "liba.so": ("/b/liba.so", "program")}


def test_links_never_lead_out_of_the_root(root: Path, tmp_path_factory: pytest.TempPathFactory):
    outside = tmp_path_factory.mktemp("outside")
    install(outside, "libsecret.so", shared_object())
    (root / "lib").mkdir(exist_ok=True)
    (root / "lib" / "libabsolute.so").symlink_to(outside / "libsecret.so")
    (root / "lib" / "librelative.so").symlink_to("../" * 30 + str(outside / "libsecret.so").lstrip("/"))
    (root / "lib" / "libgood.so").symlink_to("/real/libgood.so.1")
    install(root, "/real/libgood.so.1", shared_object())
    found = closure(root, program("libabsolute.so", "librelative.so", "libgood.so"))
    assert found["libabsolute.so"][0] is None
    assert found["librelative.so"][0] is None
    assert found["libgood.so"][0] == "/real/libgood.so.1"


def test_a_link_that_leads_to_itself_is_not_there(root: Path):
    (root / "lib").mkdir(exist_ok=True)
    (root / "lib" / "liba.so").symlink_to("liba.so")
    assert closure(root, program("liba.so"))["liba.so"][0] is None


def test_names_lead_to_no_device_fifo_or_file_of_the_kernel(root: Path):
    os.mkfifo(root / "fifo")
    found = Libraries(needs(memoryview(program("/dev/zero", "/proc/self/exe"))), Path("/x"), Tree(), Summaries(None))
    assert [library.path for library in found.resolved[1:]] == [None, None]
    assert closure(root, program("/fifo", "relative/liba.so"))["/fifo"][0] is None


def test_a_library_is_what_its_hash_says(root: Path):
    data = shared_object()
    install(root, "/lib/liba.so", data)
    found = Libraries(needs(memoryview(program("liba.so"))), root / "program", Tree(root), Summaries(None))
    assert found.resolved[1].sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.skipif(sys.platform != "linux", reason="asks this system's own loader")
def test_the_same_closure_as_this_systems_loader_finds():
    path = Path(shutil.which("ls") or "/bin/ls").resolve()
    asked = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False)
    if asked.returncode:
        pytest.skip("ldd knows nothing about ls here")
    theirs = {Path(line.split()[2]).resolve() for line in asked.stdout.splitlines() if "=> /" in line}
    found = Libraries(needs(memoryview(path.read_bytes())), path, Tree(), Summaries(None))
    assert theirs == {Path(library.path or "") for library in found.resolved[1:]}


def test_what_is_there_is_told_and_where_nobody_may_look_it_is_taken_to_be(root: Path, monkeypatch: pytest.MonkeyPatch):
    install(root, "/run/service/socket", b"x")
    tree = Tree(root)
    assert tree.exists("/run/service/socket")
    assert tree.exists("/run/service")
    assert not tree.exists("/run/service/other")
    assert not tree.exists("/nowhere/at/all")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may look everywhere
    assert tree.exists("/run/service/other")


def test_all_builds_of_a_library_that_the_processor_chooses_among(root: Path):
    unasked = "/opt/other", "/lib/glibc-hwcaps/x86-64-v2"
    for folder in ("/opt", "/opt/glibc-hwcaps/x86-64-v3", "/opt/tls/haswell", *unasked):
        install(root, f"{folder}/liba.so", shared_object("libb.so" if "v3" in folder else "libc.so"))
    install(root, "/opt/x86_64/libb.so", shared_object())
    install(root, "/usr/bin/program", data := program("liba.so", rpath="/opt"))
    found = Libraries(needs(memoryview(data)), root / "usr/bin/program", Tree(root), Summaries(None)).resolved
    assert [(each.name, each.path) for each in found[1:]] == [
        ("liba.so", "/opt/liba.so"),
        ("liba.so", "/opt/glibc-hwcaps/x86-64-v3/liba.so"),
        ("liba.so", "/opt/tls/haswell/liba.so"),
        ("libc.so", None),
        ("libb.so", "/opt/x86_64/libb.so"),
    ]
