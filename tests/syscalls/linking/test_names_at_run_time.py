"""Whose function a name is, and names that C programs look up while they run: of libraries and of name services."""

import struct
import subprocess
from pathlib import Path

import pytest
from compiled import build, calls, library

from binsafe.syscalls import summarise_library
from binsafe.syscalls.linking.c_library import asked_of_services

_SYNC = 162


_GETPGRP = 111


def test_names_that_are_looked_up_are_reached_in_the_libraries_that_are_there(tmp_path: Path):
    library(
        tmp_path,
        "plugin",
        "#include <sys/swap.h>\nint asked(void) { return swapoff(0); } int other(void) { return swapon(0, 0); }",
    )
    source = """
        #include <dlfcn.h>
        int main(void) {
            int (*asked)(void) = (int (*)(void)) dlsym(dlopen("libplugin.so", RTLD_NOW), "asked");
            return asked();
        }"""
    found = calls(build(tmp_path, "program", source))
    assert "swapoff" in found.required
    assert "swapon" not in found.required
    assert found.complete


def test_the_loader_calls_some_of_the_c_librarys_functions_by_name(tmp_path: Path):
    """From 2.41 on nothing else in glibc asks for the stack's limit in most programs."""
    found = calls(build(tmp_path, "program", "int main(void) { return 0; }"), explain="prlimit64")
    assert [step.partition(" at ")[0] for step in found.chain][1:] == [
        "libc.so.6: __libc_early_init", "libc.so.6: getrlimit", "libc.so.6: makes the call"
    ]  # fmt: skip


def test_a_library_that_lies_in_whatever_folder_the_program_is_started_is_named(tmp_path: Path):
    source = '#include <dlfcn.h>\nint main(void) { return dlopen("./plugins/one.so", RTLD_NOW) == 0; }'
    found = calls(build(tmp_path, "program", source))
    assert found.open_set == ("dlopen: ./plugins/one.so, in whatever folder the program is started",)
    assert not found.complete


@pytest.mark.parametrize(("soname", "loads"), [("libpam.so.0", True), ("libpan.so.0", False)])
def test_what_pam_is_mostly_configured_to_load_counts_and_its_list_stays_open(soname: str, loads: bool, tmp_path: Path):
    """libpam reads the names of its modules in ``/etc/pam.d``: sessions of ftp servers asked SELinux by ``statfs``."""
    (tmp_path / "security").mkdir()
    module = "#include <sys/swap.h>\nint pam_sm_authenticate(void) { return swapoff(0); }"
    build(tmp_path / "security", "pam_unix.so", module, "-shared", "-fPIC")
    source = """
        #include <dlfcn.h>
        int pam_start(const char *module, const char *name) {
            int (*asked)(void) = (int (*)(void)) dlsym(dlopen(module, RTLD_NOW), name);
            return asked ? asked() : 0;
        }"""
    build(tmp_path, soname, source, "-shared", "-fPIC", f"-Wl,-soname,{soname}")
    started = "int pam_start(const char *, const char *); int main(int n, char **a) { return pam_start(a[1], a[2]); }"
    found = calls(build(tmp_path, "program", started, f"-l:{soname}"))
    assert ("swapoff" in found.required) == loads
    assert not found.complete


@pytest.mark.each_user
@pytest.mark.parametrize(
    ("flags", "taken"), [("RTLD_NOW", 3), ("RTLD_NOW | RTLD_GLOBAL", 2), ("RTLD_LAZY | RTLD_DEEPBIND", 3)]
)
def test_a_library_that_is_loaded_at_run_time_uses_its_own_function_of_a_name(flags: str, taken: int, tmp_path: Path):
    first, second = helping(tmp_path, 1, _SYNC), helping(tmp_path, 2, _GETPGRP)
    used = "".join(f'((int (*)(void)) dlsym(dlopen("{each.name}", {flags}), "entry"))() + ' for each in (first, second))
    path = build(tmp_path, "program", f"#include <dlfcn.h>\nint main(void) {{ return {used}0; }}", "-D_GNU_SOURCE")
    assert run(path) == taken
    found = calls(path)
    assert {"sync", "getpgrp"} <= set(found.required)
    assert found.complete


@pytest.mark.each_user
def test_in_a_namespace_of_its_own_a_library_uses_its_own_function_of_a_name(tmp_path: Path):
    helping(tmp_path, 1, _SYNC)
    helping(tmp_path, 2, _GETPGRP)
    opened = f'dlmopen(LM_ID_NEWLM, "{tmp_path}/libhelp2.so", RTLD_NOW)'
    source = f"""
        #include <dlfcn.h>
        int entry2(void);
        int main(void) {{ return entry2() + ((int (*)(void)) dlsym({opened}, "entry"))(); }}"""
    linked = ("-D_GNU_SOURCE", "-Wl,--no-as-needed", "-lhelp1", "-lhelp2")
    program = build(tmp_path, "program", source, *linked)
    assert run(program) == 1 + 2
    assert {"sync", "getpgrp"} <= set(calls(program).required)


@pytest.mark.each_user
@pytest.mark.parametrize("symbolic", [False, True])
def test_the_first_function_of_a_name_is_used_unless_a_library_looks_in_itself_first(symbolic: bool, tmp_path: Path):
    helping(tmp_path, 1, _SYNC)
    path = helping(tmp_path, 2, _GETPGRP)
    path.write_bytes(path.read_bytes().replace(struct.pack("<QQ", 30, 8), struct.pack("<QQ", 30, 8 | 2 * symbolic)))
    linked = ("-Wl,--no-as-needed", "-lhelp1", "-lhelp2")
    program = build(tmp_path, "program", "int entry2(void); int main(void) { return entry2(); }", *linked)
    assert run(program) == (2 if symbolic else 1)
    found = calls(program)
    assert ("getpgrp" in found.required) == symbolic
    assert found.complete


@pytest.mark.each_user
def test_who_asks_without_a_version_gets_the_oldest_one(tmp_path: Path):
    source = """
        __asm__(".symver old,f@V1\\n.symver new,f@@V2");
        #include <unistd.h>
        int old(void) { getpgrp(); return 1; }
        int new(void) { sync(); return 2; }"""
    (tmp_path / "map").write_text("V1 { f; }; V2 { } V1;")
    (tmp_path / "without").mkdir()
    library(tmp_path / "without", "versions", "int f(void) { return 0; }", "-Wl,-soname,libversions.so")
    library(tmp_path, "versions", source, f"-Wl,--version-script={tmp_path / 'map'}")
    linked = (f"-L{tmp_path / 'without'}", "-lversions")
    program = build(tmp_path, "program", "int f(void); int main(void) { return f(); }", *linked)
    assert run(program) == 1
    assert "getpgrp" in calls(program).required


def helping(folder: Path, number: int, call: int) -> Path:
    """A library that calls its own ``helper``, which makes one call and says which library it is of, by that name."""
    source = f"""
        int helper(void) {{
            long result;
            __asm__ volatile("syscall" : "=a"(result) : "a"({call}) : "rcx", "r11", "memory");
            return {number};
        }}
        int entry(void) {{ return helper(); }}
        int entry{number}(void) {{ return helper(); }}"""
    flags = ("-Wl,-z,now", "-fno-inline", "-fsemantic-interposition")
    return library(folder, f"help{number}", source, *flags)


def run(program: Path) -> int:
    """What it returns when it really runs, linked by the dynamic linker of this system."""
    return subprocess.run([program], check=False).returncode


def test_a_name_service_that_asks_another_one_asks_by_name(tmp_path: Path):
    source = """
        int __nss_lookup_function(const char *);
        int _nss_compat_getpwnam_r(void) { return __nss_lookup_function("getgrgid_r"); }"""
    summary = summarise_library(memoryview(library(tmp_path, "nss_compat", source).read_bytes()))
    assert summary is not None
    assert "getgrgid_r" in {text for _, text in asked_of_services(summary)}


def test_a_computed_name_may_be_any_of_a_library_that_was_loaded(tmp_path: Path):
    plugin = library(tmp_path, "plugin", "#include <sys/swap.h>\nint other(void) { return swapon(0, 0); }")
    source = """
        #include <dlfcn.h>
        int main(int n, char **v) { return ((int (*)(void)) dlsym(dlopen(v[1], RTLD_NOW), v[2]))(); }"""
    found = calls(build(tmp_path, "program", source), loaded=(plugin,))
    assert "swapon" in found.required
    assert any(text.startswith("dlsym") for text in found.open_set)


def test_a_name_that_can_be_written_is_not_known(tmp_path: Path):
    source = """#include <dlfcn.h>
        char name[] = "gexxid";
        int main(void) { name[2] = 't'; name[3] = 's'; return ((int (*)(int)) dlsym(0, name))(0); }"""
    found = calls(build(tmp_path, "program", source))
    assert [text.partition(",")[0] for text in found.open_set] == ["dlsym: a name that is computed"]


def test_name_services_of_a_static_program_are_followed(tmp_path: Path):
    source = '#include <pwd.h>\nint main(void) { return getpwnam("root") != 0; }'
    try:
        program = build(tmp_path, "program", source, "-static")
    except subprocess.CalledProcessError:
        pytest.skip("no static C library here")
    found = calls(program)
    assert not any("libnss_*" in name for name in found.open_set)
    alone = build(tmp_path, "alone", "int main(void) { return 0; }", "-static")
    assert {"connect", "newfstatat"} <= set(found.required) > set(calls(alone).required)


def test_libseccomp_looks_up_the_number_of_its_only_call(tmp_path: Path):
    """The library alone does, by its own name: what holds its code may have numbers of its own."""
    code = (
        "long syscall(long, ...); int looked_up = -1;"
        "int seccomp_load(void *filter) { return syscall(looked_up, 1, 0, filter); }"
    )
    source = "int seccomp_load(void *); int main(void) { return seccomp_load(0); }"
    library(tmp_path, "seccomp", code, "-Wl,-soname,libseccomp.so.2")
    (tmp_path / "libseccomp.so.2").symlink_to("libseccomp.so")
    found = calls(build(tmp_path, "program", source, "-lseccomp"))
    assert "seccomp" in found.required
    assert found.complete
    library(tmp_path, "filters", code)
    assert not calls(build(tmp_path, "other", source, "-lfilters")).complete
