"""Modules that a program loads by names which only its settings tell: in a tree with what it is linked with."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from compiled import bare, build, calls, library, needs_compiler

from binsafe import limits
from binsafe.formats import parse
from binsafe.formats.elf_needs import needs
from binsafe.intake import modules
from binsafe.intake.libraries import Libraries
from binsafe.intake.modules import Search
from binsafe.intake.summaries import Summaries
from binsafe.intake.tree import Tree
from binsafe.model import Syscalls
from binsafe.syscalls.linking import folders

pytestmark = needs_compiler

_LOAD = """
    #include <dlfcn.h>
    #include <stdio.h>
    void load(const char *form, const char *name) {
        char path[4096];
        snprintf(path, sizeof path, form, name);
        void (*start)(void) = (void (*)(void)) dlsym(dlopen(path, RTLD_NOW), name);
        if (start) start();
    }
"""
_PROGRAM = """
    %s
    const char *const named = "%s";
    int main(int count, char **all) { load(count > 2 ? all[1] : named, all[2]); return 0; }
"""
_SWAPOFF = "int swapoff(const char *); int start(void) { return swapoff(0); }"


class Installed:
    """A tree with programs of ours, and all that these are linked with on this system."""

    def __init__(self, root: Path, build_folder: Path) -> None:
        self.root = root
        self._folder = build_folder

    def place(self, file: Path, path: str) -> Path:
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(file, target))

    def program(self, named: str, path: str = "/usr/bin/tool") -> Path:
        program = build(self._folder, "program", _PROGRAM % (_LOAD, named))
        linked = Libraries(needs(memoryview(program.read_bytes())), program, Tree(), Summaries(None))
        for each in linked.resolved:
            self.place(Path(str(each.path)), str(each.opened_as))
        return self.place(program, path)

    def module(self, path: str, source: str = _SWAPOFF) -> None:
        self.place(library(self._folder, "module", source), path)

    def calls(self, program: Path) -> Syscalls:
        return calls(program, root=self.root)


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    (tmp_path / "built").mkdir()
    return Installed(tmp_path / "root", tmp_path / "built")


@pytest.mark.parametrize(
    ("named", "module"),
    [
        ("/usr/lib/tool/modules", "/usr/lib/tool/modules/one.so"),
        ("/usr/lib/tool/modules/", "/usr/lib/tool/modules/one.so.2.1"),
        ("/usr/lib/tool", "/usr/lib/tool/auto/More/one.so"),
        ("/usr/local/lib/other/mod_%s.so", "/usr/local/lib/other/mod_one.so"),
        ("/nowhere:/usr/lib64/other:/elsewhere", "/usr/lib64/other/one.so"),
        ("./?.so;/usr/lib/other/5.3/?.so;/?.so", "/usr/lib/other/5.3/one.so"),
        ("/usr/share/other /usr/lib/other/8.6  /nowhere", "/usr/lib/other/8.6/one.so"),
        ("no folder", "/usr/lib/tool/one.so"),
        ("no folder", "/usr/libexec/tool/plugins/one.so"),
    ],
)
def test_modules_count_that_lie_in_a_folder_that_is_named_or_the_programs_own(
    installed: Installed, named: str, module: str
):
    program = installed.program(named)
    assert "swapoff" not in installed.calls(program).required
    installed.module(module)
    found = installed.calls(program)
    assert "swapoff" in found.required
    assert not found.complete
    assert any("what settings name, of which the libraries in /usr/" in each for each in found.open_set)


@pytest.mark.parametrize(
    ("named", "module"),
    [
        ("/home/me/modules", "/home/me/modules/one.so"),
        ("folder=/usr/lib/other", "/usr/lib/other/one.so"),
        ("/usr/lib/other, or none", "/usr/lib/other/one.so"),
        ("/usr/lib/other", "/usr/lib/other/one.txt"),
        ("/usr/lib", "/usr/lib/one.so"),
        ("/usr/lib/", "/usr/lib/other/one.so"),
        ("/usr/lib/../lib/", "/usr/lib/other/one.so"),
        ("/usr/lib/configured", "/usr/lib/configured/one.so"),
        ("/usr/lib/linked", "/home/me/one.so"),
    ],
)
def test_other_folders_do_not_count(installed: Installed, named: str, module: str):
    program = installed.program(named)
    installed.module(module)
    (installed.root / "etc").mkdir()
    (installed.root / "etc/ld.so.conf").write_text("/usr/lib/configured\n")
    (installed.root / "usr/lib").mkdir(parents=True, exist_ok=True)
    (installed.root / "usr/lib/linked").symlink_to("/home/me")
    found = installed.calls(program)
    assert "swapoff" not in found.required
    assert not found.complete


def test_nothing_outside_of_the_systems_folders_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tree, looked_at = Tree(tmp_path), list[str]()

    def resolve(path: str) -> None:
        looked_at.append(path)

    monkeypatch.setattr(tree, "resolve", resolve)
    named = ["/net/server/modules", "/usr/lib/../../net/server", "/usr/lib/x/..", "/usr/lib/x/..y", "usr/lib/x"]
    assert not list(Search(tree, ()).folders("/home/me/tool", "x86_64", named))
    assert looked_at == ["/usr/lib/x/..y"]


def test_a_folder_counts_where_a_library_loads_what_the_program_tells_it(installed: Installed, tmp_path: Path):
    built = library(tmp_path / "built", "load", _LOAD)
    source = 'void load(const char *, const char *); int main(int n, char **all) { load("/usr/lib/t/%s", all[1]); }'
    installed.program("")
    installed.place(built, "/usr/lib/libload.so")
    installed.module("/usr/lib/t/one.so")
    program = installed.place(build(tmp_path / "built", "user", source, "-lload"), "/usr/bin/user")
    assert "swapoff" in installed.calls(program).required


@pytest.mark.parametrize("soname", ["libcrypto.so.3", "libother.so.3"])
def test_of_libraries_that_few_programs_have_load_modules_no_folder_counts(
    installed: Installed, tmp_path: Path, soname: str
):
    source = _LOAD + 'const char *const engines = "/usr/lib/engines";'
    built = library(tmp_path / "built", "load", source, f"-Wl,-soname,{soname}")
    source = "void load(const char *, const char *); int main(int n, char **all) { load(all[1], all[2]); }"
    installed.program("")
    installed.place(built, f"/usr/lib/{soname}")
    installed.module("/usr/lib/engines/one.so")
    program = installed.place(build(tmp_path / "built", "user", source, "-lload"), "/usr/bin/user")
    found = installed.calls(program)
    assert ("swapoff" in found.required) == (soname == "libother.so.3")
    assert not found.complete


def test_a_folder_does_not_count_where_all_names_are_known(installed: Installed, tmp_path: Path):
    source = """
        #include <dlfcn.h>
        const char *const named = "/usr/lib/tool";
        int main(void) { return dlopen("libgone.so.1", RTLD_NOW) == 0; }"""
    installed.program("")
    installed.module("/usr/lib/tool/one.so")
    found = installed.calls(installed.place(build(tmp_path / "built", "known", source), "/usr/bin/tool"))
    assert "swapoff" not in found.required
    assert found.complete


def test_what_a_module_that_another_one_needs_exports_counts(installed: Installed, tmp_path: Path):
    program = installed.program("/usr/lib/other")
    installed.module("/usr/lib/other/libzz.so", _SWAPOFF)
    shutil.copy(tmp_path / "root/usr/lib/other/libzz.so", tmp_path / "built/libzz.so")
    linked = ("-Wl,--no-as-needed", "-lzz", "-Wl,-rpath,/usr/lib/other")
    first = library(tmp_path / "built", "aa", "int other(void) { return 1; }", *linked)
    installed.place(first, "/usr/lib/other/libaa.so")
    assert "swapoff" in installed.calls(program).required


def test_a_module_is_taken_once_for_all_folders_that_hold_it(installed: Installed):
    program = installed.program("/usr/lib/other:/usr/lib/other/inner:/usr/lib/linked")
    installed.module("/usr/lib/other/inner/one.so")
    (installed.root / "usr/lib/linked").symlink_to("/usr/lib/other")
    said = [each for each in installed.calls(program).open_set if "what settings name" in each]
    assert said == ["dlopen: what settings name, of which the libraries in /usr/lib/other are counted"]


def test_what_is_no_module_is_passed_over(installed: Installed):
    program = installed.program("/usr/lib/other")
    folder = installed.root / "usr/lib/other"
    installed.module("/usr/lib/other/module.so")
    (folder / "empty.so").touch()
    (folder / "text.so").write_text("INPUT(libc.so.6)")
    (folder / "gone.so").symlink_to("/nowhere")
    (folder / "device.so").symlink_to("/dev/zero")
    (folder / "around").symlink_to("/usr/lib/other")
    os.mkfifo(folder / "queue.so")
    found = installed.calls(program)
    assert "swapoff" in found.required


@pytest.mark.parametrize(
    ("limit", "value"), [("MAX_MODULES", 1), ("MAX_MODULE_BYTES", 40_000), ("MAX_MODULE_ENTRIES", 2)]
)
def test_a_list_says_that_there_are_more_modules_than_are_looked_at(
    installed: Installed, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
):
    assert value < getattr(limits, limit)
    monkeypatch.setattr(modules, limit, value)
    program = installed.program("/usr/lib/other:/usr/lib/other/a.so")
    installed.module("/usr/lib/other/a.so")
    for name in "bcd":
        installed.module(f"/usr/lib/other/{name}.so", "int start(void) { return 0; } char large[20000] = {1};")
    found = installed.calls(program)
    assert "swapoff" in found.required
    said = [each for each in found.open_set if "what settings name" in each]
    assert said == [
        "dlopen: what settings name, of which many, but not all, of the libraries in /usr/lib/other are counted"
    ]


@pytest.mark.parametrize("name", [b"\xff.so", b"a\n.so"])
def test_a_list_says_that_there_are_modules_whose_names_nobody_can_be_told(installed: Installed, name: bytes):
    program = installed.program("/usr/lib/other")
    installed.module("/usr/lib/other/one.so")
    shutil.copy(installed.root / "usr/lib/other/one.so", os.fsencode(installed.root / "usr/lib/other/") + b"/" + name)
    found = installed.calls(program)
    assert "swapoff" in found.required
    assert any("many, but not all" in each for each in found.open_set)


@pytest.mark.parametrize(
    ("folder", "link", "counts"),
    [
        ("/home/me/lib/tool", None, True),
        ("/usr/lib/other", "/usr/lib/other", True),
        ("/srv/other", "/srv/other", False),
        ("/srv", "/", False),
    ],
)
def test_a_programs_own_folder_leads_to_none_elsewhere(tmp_path: Path, folder: str, link: str | None, counts: bool):
    """Whoever made the program could have all of the file system looked through."""
    (tmp_path / folder[1:]).mkdir(parents=True)
    (tmp_path / folder[1:] / "one.so").write_text("one")
    if link is not None:
        (tmp_path / "home/me/lib").mkdir(parents=True)
        (tmp_path / "home/me/lib/tool").symlink_to(link)
    found = [*Search(Tree(tmp_path), ("/usr/lib",)).folders("/home/me/bin/tool", "x86_64", ())]
    assert [each.modules for each in found] == ([(f"{folder}/one.so",)] if counts else [])


@pytest.mark.parametrize("name", [b"\xff", b"a\n"])
def test_a_folder_whose_name_nobody_can_be_told_is_not_looked_through(tmp_path: Path, name: bytes):
    folder = tmp_path / "usr/lib" / os.fsdecode(name)
    folder.mkdir(parents=True)
    (folder / "one.so").write_text("one")
    search = Search(Tree(tmp_path), ())
    assert [*search.folders(f"/usr/bin/{os.fsdecode(name)}", "x86_64", ())] == []


def test_of_a_large_folder_no_more_is_read_than_is_looked_at(tmp_path: Path):
    for name in "abc":
        (tmp_path / name).touch()
    assert len([*Tree(tmp_path).entries("/", 2)]) == 2


def test_of_what_looks_like_a_path_no_more_is_looked_at_than_there_is_time_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    text = 'hlt; .section .rodata; .asciz \\"/usr/lib/one\\", \\"=/usr/lib/x\\", \\"/usr/lib/two\\"'
    slice_ = parse(memoryview(bare(tmp_path, text).read_bytes())).slices[0]
    assert folders.folders(slice_) == ("/usr/lib/one", "/usr/lib/two")
    monkeypatch.setattr(folders, "_MOST", 2)
    assert folders.folders(slice_) == ("/usr/lib/one",)


@pytest.mark.once
def test_the_command_counts_modules_and_says_so(installed: Installed, tmp_path: Path):
    program = installed.program("/usr/lib/other")
    installed.module("/usr/lib/other/one.so")
    command = [sys.executable, "-m", "binsafe", "syscalls", str(program), "--root", str(installed.root)]
    surroundings = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}

    def asked(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *more], capture_output=True, text=True, check=True, env=surroundings)

    first = asked()
    assert "swapoff" in first.stdout.split()
    assert "what settings name, of which the libraries in /usr/lib/other are counted" in first.stderr
    assert asked().stdout == first.stdout
    assert "/usr/lib/other/one.so: start" in asked("--explain", "swapoff").stdout
    installed.module("/usr/lib/other/two.so", "int acct(const char *); int start(void) { return acct(0); }")
    assert "acct" in asked().stdout.split()
