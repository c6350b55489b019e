"""A static program of glibc that loads the name services of its system."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import pytest
from assembled import X86, program
from small_files import file

from binsafe.model import ResolvedLibrary
from binsafe.syscalls import Member, Summary, analyse

NAMES = b"\0libnss_%s.so%s\0getpwnam_r\0"


class System:
    """Libraries of which one is there, and is configured."""

    there: ClassVar[dict[str, Summary]] = {
        "libnss_corp.so.2": file(
            "__nss_corp_getpwnam_r __nss_corp_setpwent",
            calls={"__nss_corp_getpwnam_r": "prctl", "__nss_corp_setpwent": "bpf"},
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


def test_where_the_system_is_not_known_the_services_are_an_open_set(code: X86):
    found = analyse(program(code, data=NAMES))
    assert "prctl" not in found.required
    assert found.open_set
    assert not found.complete


def test_a_static_program_without_name_services_loads_nothing(code: X86):
    system = System()
    assert "prctl" not in analyse(program(code), system).required
    assert system.loaded == []
