"""What other tools say of the same programs: mitigations, libraries, and the names that lead to the network.

readelf and checksec for ELF, llvm-objdump and llvm-nm for Mach-O, pefile for PE; Go by the names in the file,
and the calls of stripped static programs by the bytes of ``mov eax, 41; syscall``.
"""

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pefile
import pytest
from test_programs import PROGRAMS, Program, report_on

from binsafe.model import SliceReport

pytestmark = [pytest.mark.corpus, pytest.mark.timeout(600)]

_NETWORK = frozenset(
    ["connect", "bind", "listen", "accept", "accept4", "getaddrinfo", "gethostbyname", "sendto", "curl_easy_perform"]
)
_NETWORK_LIBRARIES = frozenset({"ws2_32.dll", "wsock32.dll", "winhttp.dll", "wininet.dll"})
_OF_GO = b"net.(*sysDialer).dialTCP"
_SOCKET_CALL = re.compile(rb"\xb8\x29\0\0\0.{0,40}?\x0f\x05", re.DOTALL)
_LLVM = next((tool for tool in ("llvm-objdump", "llvm-objdump-19", "llvm-objdump-14") if shutil.which(tool)), "")
_OF_THE_C_LIBRARY = frozenset({"shellcheck-linux"})
"""Programs that were linked with a C library which logs and asks for names by local sockets, and use no others."""


def of_format(*formats: str) -> list[Program]:
    return [program for program in PROGRAMS if _format(program) in formats]


def _format(program: Program) -> str:
    if program.id.endswith("-mac"):
        return "mach-o"
    return "pe" if program.id.endswith("-win") or program.id == "mcs" else "elf"


def each(*formats: str) -> pytest.MarkDecorator:
    programs = of_format(*formats)
    return pytest.mark.parametrize("program", programs, ids=[program.id for program in programs])


def said(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, errors="replace", timeout=120).stdout


@cache
def pe_of(program: Program) -> pefile.PE:
    found = pefile.PE(str(program.path()), fast_load=True)
    names = ("IMPORT", "DELAY_IMPORT", "LOAD_CONFIG", "DEBUG")
    found.parse_data_directories([pefile.DIRECTORY_ENTRY[f"IMAGE_DIRECTORY_ENTRY_{name}"] for name in names])
    return found


def only(program: Program) -> SliceReport:
    (part,) = report_on(program).slices
    return part


@each("elf")
def test_mitigations_are_what_readelf_shows(program: Program):
    part, path = only(program), program.path()
    assert report_on(program).format == "elf"
    header, segments = said("readelf", "-hW", path), said("readelf", "-lW", path)
    dynamic, notes = said("readelf", "-dW", path), said("readelf", "-nW", path)
    now = re.search(r"BIND_NOW|FLAGS_1.*NOW", dynamic) is not None
    stack = re.search(r"GNU_STACK.* ([R ][W ][E ]) ", segments)
    features = {"ibt": "IBT", "shadow_stack": "SHSTK"}
    expected = {
        "pie": "present" if re.search(r"Type:\s+DYN", header) else "absent",
        "nx": "present" if stack and "E" not in stack[1] else "absent",
        **{
            name: "present" if re.search(rf"x86 feature: .*\b{word}\b", notes) else "absent"
            for name, word in features.items()
        },
    }
    if "GNU_RELRO" not in segments:
        expected["relro"] = "absent"
    elif part.linkage == "dynamic":
        expected["relro"] = "present" if now else "partial"
    assert {name: part.hardening[name] for name in expected} == expected
    assert [library.name for library in part.libraries] == re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)


@pytest.mark.skipif(shutil.which("checksec") is None, reason="checksec is not installed")
@each("elf")
def test_mitigations_are_what_checksec_says(program: Program):
    part = only(program)
    (theirs,) = json.loads(said("checksec", "--output=json", f"--file={program.path()}")).values()
    if part.linkage == "dynamic" and part.language != "go":
        ours = {name: part.hardening[name] for name in ("relro", "canary", "nx", "pie")}
        assert ours == {
            "relro": {"full": "present", "partial": "partial", "no": "absent"}[theirs["relro"]],
            "canary": {"yes": "present", "no": "absent"}[theirs["canary"]],
            "nx": {"yes": "present", "no": "absent"}[theirs["nx"]],
            "pie": {"yes": "present", "no": "absent", "dso": "present"}[theirs["pie"]],
        }
        if part.hardening["fortify"] in {"present", "partial"}:
            assert theirs["fortify_source"] == "yes"
    assert bool(part.rpaths) == (theirs["rpath"] == "yes" or theirs["runpath"] == "yes")


@each("pe")
def test_mitigations_are_what_pefile_shows(program: Program):
    part, theirs = only(program), pe_of(program)
    flags = theirs.OPTIONAL_HEADER.DllCharacteristics
    load = getattr(theirs, "DIRECTORY_ENTRY_LOAD_CONFIG", None)
    debug = [entry.struct for entry in getattr(theirs, "DIRECTORY_ENTRY_DEBUG", ())]
    cet = any(entry.Type == 20 and theirs.__data__[entry.PointerToRawData] & 1 for entry in debug if entry.SizeOfData)
    moved = bool(flags & 0x40) and not theirs.FILE_HEADER.Characteristics & 1
    wide = theirs.OPTIONAL_HEADER.Magic == 0x20B
    expected = {
        "aslr": moved,
        "nx": bool(flags & 0x100),
        "shadow_stack": cet,
        **({"high_entropy_aslr": bool(flags & 0x20) and moved} if wide else {}),
    }
    if part.language not in {"go", "dotnet"}:
        guarded = load is not None and bool(getattr(load.struct, "GuardFlags", 0) & 0x400)
        expected["canary"] = load is not None and load.struct.SecurityCookie != 0
        expected["guard_cf"] = bool(flags & 0x4000) and guarded
    assert {name: part.hardening[name] == "present" for name in expected} == expected
    names = [entry.dll.decode() for entry in getattr(theirs, "DIRECTORY_ENTRY_IMPORT", ())]
    names += [entry.dll.decode() for entry in getattr(theirs, "DIRECTORY_ENTRY_DELAY_IMPORT", ())]
    once: dict[str, str] = {}
    for name in names:
        once.setdefault(name.lower(), name)  # Windows knows no case: two entries of a library load it once
    loaded = [library.name for library in part.libraries if library.kind != "reexport"]
    assert loaded == list(once.values())


@pytest.mark.skipif(not _LLVM, reason="llvm-objdump is not installed")
@each("mach-o")
def test_libraries_and_flags_are_what_llvm_objdump_shows(program: Program):
    for part in report_on(program).slices:
        at = (f"--arch={part.arch}", "--macho")
        used = said(_LLVM, *at, "--dylibs-used", program.path())
        libraries = re.findall(r"^\t(.+) \(compatibility", used, re.MULTILINE)
        libraries = libraries[1:] if part.kind == "library" else libraries  # the first is its own name
        headers = said(_LLVM, *at, "--private-headers", program.path())
        assert [library.name for library in part.libraries] == libraries
        assert (part.hardening["pie"] == "present") == (" PIE" in headers or part.kind != "executable")
        assert (part.hardening["encrypted"] == "present") == (re.search(r"cryptid +[1-9]", headers) is not None)
        assert part.rpaths == tuple(re.findall(r"LC_RPATH\n.*\n +path (.+) \(offset", headers))
        assert (part.signature.kind == "none") == ("LC_CODE_SIGNATURE" not in headers)


def leads_to_the_network(program: Program) -> bool:
    """Whether another tool sees a name or a call that does."""
    data = program.path().read_bytes()
    if _OF_GO in data:
        return True
    if _format(program) == "elf":
        symbols = said("readelf", "--dyn-syms", "-W", program.path())
        names = re.findall(r" UND (\w+)", symbols)
        static = "NEEDED" not in said("readelf", "-dW", program.path())
        return not _NETWORK.isdisjoint(names) or (static and _SOCKET_CALL.search(data) is not None)
    if _format(program) == "mach-o":
        listed = said(_LLVM.replace("objdump", "nm"), "-u", program.path())
        return not _NETWORK.isdisjoint(re.findall(r"\b_(\w+)", listed))
    found = pe_of(program)
    entries = (*getattr(found, "DIRECTORY_ENTRY_IMPORT", ()), *getattr(found, "DIRECTORY_ENTRY_DELAY_IMPORT", ()))
    return not _NETWORK_LIBRARIES.isdisjoint(entry.dll.decode().lower() for entry in entries)


@each("elf", "mach-o", "pe")
def test_the_networks_column_is_what_other_tools_see(program: Program):
    assert leads_to_the_network(program) == (program.network == "yes" or program.id in _OF_THE_C_LIBRARY)
