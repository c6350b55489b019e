"""Functions that never return: only those of which every way ends in a trap, or in a call of such a one."""

import random
from collections.abc import Iterable

import pytest
from assembled import CODE, X86, program

from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.returns import returns
from binsafe.syscalls.decoding.decode import Decoder
from binsafe.syscalls.machines.x86_64 import X86_64

TRAP, RETURN, NOP = b"\x0f\x0b", b"\xc3", b"\x90"


def assembled(parts: Iterable[bytes | str]) -> X86:
    """Code of bytes, calls of ``NAME``, labels ``NAME:``, ``jz NAME`` and ``jmp NAME``."""
    code = X86()
    for part in parts:
        if isinstance(part, bytes):
            code.put(part)
        elif part.endswith(":"):
            code.label(part[:-1])
        elif part.startswith("jz "):
            code.jump_if_zero(part[3:])
        elif part.startswith("jmp "):
            code.jump(part[4:])
        else:
            code.call(part)
    return code


def does(*parts: bytes | str) -> bool:
    """Whether the code returns that `assembled` makes."""
    code = assembled(parts)
    slice_ = program(code, functions=tuple(name for name in code.labels if name[0] == "f") or ("start",))
    return returns(Program(slice_, X86_64(), Decoder("x86_64", 10_000)), CODE)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((RETURN,), True),
        ((NOP, NOP, RETURN), True),
        ((NOP, TRAP, RETURN), False),
        ((b"\xc4\xe2\x71\x50\xc2\x90\x90", TRAP), True),  # an instruction that is not known here, vpdpbusd
        ((b"\xc5\xf8\x04\xc0", TRAP), True),  # another one, whose bytes do not look like a return
        (("jz end", TRAP, "end:", RETURN), True),
        (("jz end", RETURN, "end:", TRAP), True),
        (("jz end", TRAP, "end:", NOP, TRAP), False),
        (("f", RETURN, "f:", TRAP), False),
        (("f", RETURN, "f:", NOP, RETURN), True),
        (("jz end", "f", RETURN, "end:", RETURN, "f:", TRAP), True),
        (("jmp f", TRAP, "f:", RETURN), True),
        (("jmp f", RETURN, "f:", TRAP), False),
        ((b"\xff\xe0",), True),  # jmp rax
        ((b"\xff\xd0", TRAP), False),  # call rax
        ((b"\xff\xd0", RETURN), True),
        ((NOP, NOP), True),  # runs on into what is not known
        (("f1", RETURN, "f1:", "jz f2", TRAP, "f2:", "jmp f1"), False),  # in a circle
        (("f1", "f2", RETURN, "f1:", "jz f2", RETURN, "f2:", "jmp f1"), True),  # the second by the first's way out
        (("f1", RETURN, "f1:", "f1", RETURN), False),
    ],
)
def test_a_function_returns_unless_every_way_is_known_to_end(parts: tuple[bytes | str, ...], expected: bool):
    assert does(*parts) is expected


@pytest.mark.parametrize(("depth", "expected"), [(20, False), (40, True)])
def test_calls_deeper_than_is_looked_count_as_returning(depth: int, expected: bool):
    chain = [part for n in range(depth) for part in (f"f{n}:", f"f{n + 1}", RETURN)]
    assert does("f0", RETURN, *chain, f"f{depth}:", TRAP) is expected


@pytest.mark.parametrize(("looks", "expected"), [(1, True), (2, False)])
def test_functions_that_would_have_to_be_looked_at_too_often_count_as_returning(
    looks: int, expected: bool, monkeypatch: pytest.MonkeyPatch
):
    """The second look tells that nothing which was said in a circle at the first one matters."""
    monkeypatch.setattr("binsafe.syscalls.controlflow.returns._MAX_LOOKS", looks)
    assert does("f1", TRAP, "f1:", "jz f2", RETURN, "f2:", "jmp f1") is expected


def test_what_is_kept_of_one_question_changes_no_answer_to_another():
    """Random functions that call each other, also in circles: all asked of one program, and each of one of its own."""
    chance = random.Random(11)
    for _ in range(60):
        count = chance.randrange(3, 9)
        parts: list[bytes | str] = []
        for number in range(count):
            for arm in (f"jz g{number}", f"g{number}:"):
                parts += [f"f{number}:"] * (arm[0] == "j") + [arm]
                parts += [f"f{chance.randrange(count)}" for _ in range(chance.randrange(2))]
                parts.append(chance.choice((RETURN, TRAP, TRAP, f"jmp f{chance.randrange(count)}")))
        code = assembled(parts)
        names = tuple(name for name in code.labels if name[0] == "f")
        slice_ = program(code, functions=names)
        alone = {
            name: returns(Program(slice_, X86_64(), Decoder("x86_64", 10_000)), code.labels[name]) for name in names
        }
        together = Program(slice_, X86_64(), Decoder("x86_64", 10_000))
        order = chance.sample(names, count)
        assert {name: returns(together, code.labels[name]) for name in order} == alone, parts
        assert together.returning.items() >= {code.labels[name]: alone[name] for name in names}.items()


def test_what_was_not_looked_at_to_the_end_is_not_kept():
    chain = [part for number in range(40) for part in (f"f{number}:", f"f{number + 1}", RETURN)]
    code = assembled([*chain, "f40:", TRAP])
    slice_ = program(code, functions=tuple(code.labels))
    asked = Program(slice_, X86_64(), Decoder("x86_64", 10_000))
    assert returns(asked, code.labels["f0"])  # for all that is known: it is too far to the trap
    assert not returns(asked, code.labels["f20"])
