"""A budget that is used up: what was found counts, nothing is called complete, and the policy takes the cap's list."""

from pathlib import Path

import msgspec
import pytest
from compiled import bare, build, calls, library, needs_compiler

from binsafe import baselines
from binsafe.extractors import syscalls as extractor
from binsafe.extractors.subject import Subject
from binsafe.formats import parse
from binsafe.formats.elf_needs import needs
from binsafe.intake import Found, Snapshot, inspect
from binsafe.intake.libraries import Libraries
from binsafe.intake.summaries import Summaries
from binsafe.intake.tree import Tree
from binsafe.model import Signature, Syscalls
from binsafe.policy import Request, derive
from binsafe.syscalls import analyse, engine, summarise_library
from binsafe.syscalls.dataflow import arguments
from binsafe.syscalls.decoding.decode import OutOfInstructions

pytestmark = needs_compiler

_SOURCE = "#include <sys/swap.h>\n#include <sys/socket.h>\nint main(int n) { return swapoff(0) + socket(2, 1, 0); }"


def within(path: Path, budget: int) -> Syscalls:
    """What the analysis says of a dynamic program when it may decode so many of its instructions."""
    data = memoryview(path.read_bytes())
    libraries = Libraries(needs(data), path, Tree(None), Summaries(None))
    found = analyse(parse(data).slices[0], libraries, max_instructions=budget)
    assert found is not None
    return found


def test_what_a_dynamic_program_imports_counts_as_called(tmp_path: Path):
    program = build(tmp_path, "program", _SOURCE)
    whole, short = within(program, 1_000_000), within(program, 10)
    assert whole.complete
    assert not short.complete
    assert "instructions" in short.unresolved[0].reason
    assert set(whole.required) <= set(short.required)
    assert short.arguments == {}


def test_looking_back_for_a_table_costs_where_none_is_found_as_well(tmp_path: Path):
    """Before each of many jumps something else than the two tables that are named may be in the register."""
    jump = "test %esi,%esi; jne 1f; movslq (%rbp,%rdx,4),%rax; add %rbp,%rax; jmp *%rax; 1: nop; "
    text = (
        "and $1,%edx; lea one(%rip),%rbp; lea two(%rip),%rbp; pop %rbp; .rept 2000; jne .+2; .endr; .rept 20; "
        f"{jump}.endr; .L3: mov $39,%eax; .L4: syscall; hlt; .section .rodata; .p2align 2; "
        "one: .long .L4 - one, .L4 - one; two: .long .L3 - two, .L3 - two; .text"
    )
    assert "instructions" in within(bare(tmp_path, text, "-s"), 500_000).unresolved[0].reason


_MANY_CALLERS = r"""
#define _GNU_SOURCE
#include <unistd.h>
#include <sys/syscall.h>
__asm__(".pushsection .data.rel.ro,\"aw\"; .balign 8; slot: .quad callee; .popsection;"
        ".rept 200; .cfi_startproc; call *slot(%rip); .rept 5000; nop; .endr; ret; .cfi_endproc; .endr");
__attribute__((noinline, used)) void callee(void) { syscall(SYS_swapoff, 0); }
int main(void) { callee(); return 0; }
"""


def test_who_calls_a_function_is_decoded_only_where_its_parameters_count(tmp_path: Path):
    found = within(build(tmp_path, "program", _MANY_CALLERS), 500_000)
    assert found.complete
    assert "swapoff" in found.required


def test_of_a_library_counts_what_was_found_and_a_gap_that_nobody_passes_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source = "#include <unistd.h>\n#include <sys/swap.h>\nvoid f(int n) { syscall(n ? 168 : 167); swapoff(0); }"
    data = memoryview(library(tmp_path, "large", source).read_bytes())
    seen = []
    for budget in (0, *(2**power for power in range(4, 16))):
        monkeypatch.setattr(engine, "MAX_INSTRUCTIONS", budget)
        found = summarise_library(data)
        assert found is not None
        assert all(gap.node in found.started() for gap in found.gaps)
        passed = {each.value for each in found.passed if each.imported == "syscall"}
        seen.append((found.functions > 1, not found.gaps, passed))
    assert seen[0] == (False, False, set())  # all that it imports counts as called
    assert (True, False, {None}) in seen
    assert seen[-1] == (True, True, {167, 168})


@pytest.mark.each_user
def test_it_is_a_finding_and_the_policy_adds_what_the_baseline_assumes(tmp_path: Path):
    program = build(tmp_path, "program", _SOURCE)
    short = within(program, 10)
    with Snapshot.take(Found("program", program)) as snapshot:
        report = inspect(snapshot)
    slice_ = msgspec.structs.replace(report.slices[0], syscalls=short)
    assert [finding.id for finding in extractor.extract(_subject(program, short)).findings] == ["syscalls-incomplete"]
    baseline = baselines.load("cli_tool")
    granted = derive(msgspec.structs.replace(report, slices=(slice_,)), baseline, Request())
    assumed = {g.object for group in baseline.calls if group.assumed and group.needs is None for g in group.grants}
    assert assumed <= {grant.object for grant in granted.of("syscall")} | {"fork", "vfork"}


def _subject(program: Path, found: Syscalls) -> Subject:
    slice_ = parse(memoryview(program.read_bytes())).slices[0]
    return Subject(slice=slice_, signature=Signature(kind="none", status="absent"), syscalls=found)


def test_arguments_that_would_take_too_long_are_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    program = build(tmp_path, "program", _SOURCE)
    assert "socket" in calls(program).arguments

    def used_up(*_: object, **__: object) -> None:
        raise OutOfInstructions

    monkeypatch.setattr(arguments, "to_function", used_up)
    found = within(program, 1_000_000)
    assert found.complete
    assert "socket" not in found.arguments
