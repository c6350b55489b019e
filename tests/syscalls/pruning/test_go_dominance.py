"""What leads to a function of a Go program, other than those by way of which a call is never made."""

import pytest
from assembled import DATA, X86
from go_layouts import analysed, words

PIPE = 22
PLACE = DATA + 0x600
"""Words of memory beside all that Go's linker lays out."""


def piping(name: str = "syscall.pipe", *, main: str = "", gate: str = "call", named: int = 0) -> X86:
    """``main.main`` calls ``os.Pipe``, by way of which ``pipe`` is never made; ``main`` and ``gate`` say what else."""
    code = X86()
    code.labels["word"] = PLACE + 8 * named
    leads = {"call": code.call, "jump": code.jump, "take": code.lea}
    code.label("main.main")
    code.call("os.Pipe")
    if main:
        leads.get(main, lambda _: code.lea("word"))(name)
    code.ret()
    code.label("os.Pipe")
    if gate:
        leads.get(gate, lambda _: code.lea("word"))(name)
    code.ret()
    code.label(name)
    code.mov("rax", PIPE)
    code.syscall()
    code.ret()
    return code


def is_made(code: X86, *held: int | str) -> bool:
    """``held`` are the words at `PLACE`: numbers of words there, and names of functions."""
    memory = words(*(PLACE + 8 * each if isinstance(each, int) else code.labels[each] for each in held))
    found = analysed(code, {DATA: bytes(400), PLACE: memory})
    assert found.complete
    return "pipe" in found.required


def test_a_function_may_be_led_to_in_one_way_only():
    assert not is_made(piping())
    assert not is_made(piping(gate="take"))
    assert not is_made(piping(gate="word"), "syscall.pipe")
    assert not is_made(piping(gate="word"), 1, "syscall.pipe")


@pytest.mark.parametrize("main", ["call", "jump", "take"])
def test_whoever_else_calls_it_or_takes_its_address_leads_to_it(main: str):
    assert is_made(piping(main=main))


@pytest.mark.parametrize(
    ("code", "held"),
    [
        (piping(main="word"), ("syscall.pipe",)),
        (piping(), ("syscall.pipe",)),
        (piping(gate="word"), ("syscall.pipe", 0)),
        (piping(main="word"), (1, "syscall.pipe")),
        (piping(), (1, "syscall.pipe")),
        (piping(gate="word", named=1), ("syscall.pipe", 0, 1)),
    ],
    ids=["value", "in-a-table", "value-in-a-table", "variable", "variable-of-nobody", "address-of-a-variable"],
)
def test_whoever_has_it_as_a_value_leads_to_it(code: X86, held: tuple[int | str, ...]):
    assert is_made(code, *held)


@pytest.mark.parametrize("name", ["syscall.one.pipe", "syscall.(*one).pipe"])
def test_a_method_may_be_called_by_anybody(name: str):
    assert is_made(piping(name))


def test_what_nothing_else_is_seen_to_lead_to_may_run():
    assert is_made(piping(gate=""))
    recursive = piping(gate="")
    recursive.call("syscall.pipe")
    assert is_made(recursive)


def test_the_program_begins_without_being_called():
    code = X86()
    code.label("main.main")
    code.mov("rax", PIPE)
    code.syscall()
    code.ret()
    code.label("os.Pipe")
    code.call("main.main")
    code.ret()
    assert is_made(code)
