"""A static program of glibc that loads the name services of its system."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import pytest
from assembled import DATA, X86, program
from small_files import file

from binsafe.model import ResolvedLibrary
from binsafe.syscalls import Member, Summary, analyse

NAMES = b"\0libnss_%s.so%s\0getpwnam_r\0"


class System:
    """Libraries of which one is there, and is configured."""

    there: ClassVar[dict[str, Summary]] = {
        "libnss_corp.so.2": file(
            "__nss_corp_getpwnam_r __nss_corp_setpwent _getcpu _idn2_lookup_ul",
            calls={
                "__nss_corp_getpwnam_r": "prctl",
                "__nss_corp_setpwent": "bpf",
                "_getcpu": "getcpu",
                "_idn2_lookup_ul": "uname",
            },
        )
    }

    def __init__(self) -> None:
        self.loaded: list[str] = []

    @property
    def resolved(self) -> tuple[ResolvedLibrary, ...]:
        return tuple(ResolvedLibrary(name=name, path=f"/lib/{name}", needed_by="dlopen") for name in self.loaded)

    def members(self, watched: frozenset[tuple[str, str]] = frozenset()) -> Sequence[Member]:
        del watched
        return [Member(library, self.there[library.name]) for library in self.resolved]

    def add(self, name: str, needed_by: str) -> None:
        del needed_by
        if name in self.there and name not in self.loaded:
            self.loaded.append(name)

    def program(self, watched: frozenset[tuple[str, str]], make: Callable[[], Summary]) -> Summary:
        del watched
        return make()

    def name_services(self) -> Sequence[str]:
        return ["corp", "nowhere"]

    def exists(self, path: str) -> bool:
        del path
        return True


@pytest.fixture
def code() -> X86:
    assembler = X86()
    assembler.mov("rax", 60)
    assembler.syscall()
    return assembler


def test_what_the_configured_services_do_for_the_functions_that_it_names_counts(code: X86):
    found = analyse(program(code, data=NAMES), System())
    assert {"exit", "prctl"} <= set(found.required)
    assert "bpf" not in found.required
    assert found.complete


def table(*names: str) -> bytes:
    """As glibc's own: many entries of equal size."""
    others = (f"get{chr(ord('a') + at)}ent" for at in range(26))
    return b"".join(name.encode().ljust(19, b"\0") for name in (*names, *others, *(f"endx{at}ent" for at in range(9))))


def test_what_stands_only_in_the_table_of_all_names_is_called_by_nobody(code: X86):
    found = analyse(program(code, data=NAMES + table("setpwent")), System())
    assert "prctl" in found.required
    assert "bpf" not in found.required


def test_a_name_that_is_a_string_of_its_own_is_called_whatever_stands_in_the_table(code: X86):
    for data in (NAMES + table("setpwent") + b"\0setpwent\0", NAMES + b"\0setpwent\0" + table("setpwent")):
        assert "bpf" in analyse(program(code, data=data), System()).required


def test_a_few_names_of_equal_length_are_no_table(code: X86):
    few = b"".join(name.encode().ljust(19, b"\0") for name in ("endpwent", "setpwent", "getpwent_r"))
    assert "bpf" in analyse(program(code, data=NAMES + few), System()).required


TITLE = b"_nss_files_setpwent\0"
TAIL = DATA + len(NAMES) + TITLE.index(b"setpwent")


@pytest.mark.parametrize("title", [TITLE, TITLE.replace(b"files", b"dns")])
def test_the_end_of_a_function_s_own_name_is_asked_for_by_nobody(code: X86, title: bytes):
    found = analyse(program(code, data=NAMES + title), System())
    assert "prctl" in found.required
    assert "bpf" not in found.required


def test_a_name_that_shares_its_bytes_with_that_end_is_asked_for_where_anything_leads_to_it(code: X86):
    data = NAMES + TITLE
    word, distance, number = (X86() for _ in range(3))
    distance.labels["tail"] = TAIL
    distance.lea("tail")
    number.mov("rsi", TAIL)
    for led, more in ((word, TAIL.to_bytes(8, "little")), (distance, b""), (number, b"")):
        led.parts += code.parts
        assert "bpf" in analyse(program(led, data=data + more), System()).required


def test_the_end_of_another_text_is_a_name(code: X86):
    assert "bpf" in analyse(program(code, data=NAMES + b"_nss_corp_setpwent\0"), System()).required


def test_a_name_for_services_is_none_of_another_function(code: X86):
    found = analyse(program(code, data=NAMES + b"getcpu\0idn2_lookup_ul\0"), System())
    assert "getcpu" not in found.required
    assert "uname" in found.required


def test_where_the_system_is_not_known_the_services_are_an_open_set(code: X86):
    found = analyse(program(code, data=NAMES))
    assert "prctl" not in found.required
    assert found.open_set
    assert not found.complete


def test_a_static_program_without_name_services_loads_nothing(code: X86):
    system = System()
    assert "prctl" not in analyse(program(code), system).required
    assert system.loaded == []
