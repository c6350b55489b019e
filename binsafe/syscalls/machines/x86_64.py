"""x86-64: the number is in eax; ``syscall`` is ``0f 05`` and leaves its result in rax, and rcx and r11 destroyed.

Encodings: Intel SDM volume 2; call convention of the kernel: ``arch/x86/entry/entry_64.S``; of C: System V ABI,
section 3.2.1; of Go: ``abi-internal.md`` (no register but rsp and rbp survives a call).
"""

from binsafe.syscalls.conventions import CONVENTIONS
from binsafe.syscalls.decoding.code import CodeRange
from binsafe.syscalls.decoding.decode import JUNK, Instructions
from binsafe.syscalls.machines import x86_64_addresses as addresses
from binsafe.syscalls.machines import x86_64_branches as branches
from binsafe.syscalls.machines import x86_64_displacements as displacements
from binsafe.syscalls.machines import x86_64_execution as execution
from binsafe.syscalls.machines import x86_64_frames as frames
from binsafe.syscalls.machines import x86_64_scans as scans
from binsafe.syscalls.machines import x86_64_skimming as skimming
from binsafe.syscalls.machines import x86_64_sums as sums
from binsafe.syscalls.machines import x86_64_tables as tables
from binsafe.syscalls.machines import x86_64_values as values

_NONSENSE = (
    f"{JUNK} in out insb insd outsb outsd hlt cli sti iretd iretq int int1 retf retfq enter ljmp lcall std cmc "
    "fbld fbstp fisttp sysexit sysenter sysret rsm wrmsr rdmsr invd clts lahf sahf loope loopne xlatb salc"
)
_UNDEFINED = frozenset(bytes.fromhex("06 07 0e 16 17 1e 1f 27 2f 37 3f 60 61 82 9a ce d4 ea"))
"""Opcodes of 32-bit programs alone that nothing has taken over since (SDM volume 2, table A-2: those with "i64")."""
_PRESERVED = frozenset({"rbx", "rbp", "r12", "r13", "r14", "r15"})
_PRESERVED_BY_GO = frozenset({"rbp"})


class X86_64:  # noqa: N801 - the processor's own name
    """A `binsafe.syscalls.machines.machine.Machine`: what each member is for stands there."""

    arch = "x86_64"
    abi = CONVENTIONS["x86_64"].abi
    site = "syscall"
    number = "rax"
    result = "rax"
    arguments = CONVENTIONS["x86_64"].arguments
    returned = frozenset({"rax", "rdx"})
    passed: tuple[str, ...] = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
    nonsense = frozenset(_NONSENSE.split())
    compare = "cmp"
    prefixes = scans.PREFIXES
    undefined = _UNDEFINED
    stack = "rsp"
    call_shift = 8
    names_absolutely = True  # ``mov r32, imm32`` and its like, in programs that are linked below 4 GiB

    @staticmethod
    def preserved(*, go: bool) -> frozenset[str]:
        """See `Machine.preserved`."""
        return _PRESERVED_BY_GO if go else _PRESERVED

    find_sites = staticmethod(scans.find_sites)
    find_foreign = staticmethod(scans.find_foreign)
    changed_returns = staticmethod(sums.changed_returns)
    reached = staticmethod(displacements.reached)
    calls = staticmethod(scans.calls)
    jumps = staticmethod(scans.jumps)
    short_jumps = staticmethod(scans.short_jumps)
    short_jumps_into = staticmethod(scans.short_jumps_into)
    closes = staticmethod(scans.closes)

    @staticmethod
    def restored(code: CodeRange, whole: CodeRange) -> CodeRange:  # noqa: ARG004 - see below
        """As it is: linkers move none."""
        return code

    references = staticmethod(scans.references)
    set_numbers = staticmethod(skimming.set_numbers)

    @staticmethod
    def page(instructions: Instructions, at: int) -> None:
        """None: instructions name whole addresses."""

    @staticmethod
    def distances(instructions: Instructions, at: int, register: str) -> None:
        """None, as above."""

    named = staticmethod(addresses.named)
    takes = staticmethod(addresses.takes)
    spellings = staticmethod(addresses.spellings)
    use = staticmethod(addresses.use)
    adds = staticmethod(addresses.adds)
    sum_with = staticmethod(addresses.sum_with)
    adds_to_loaded = staticmethod(addresses.adds_to_loaded)
    copied = staticmethod(addresses.copied)
    changes = staticmethod(addresses.changes)

    flows = staticmethod(branches.flows)
    target = staticmethod(branches.target)
    compared_with = staticmethod(branches.compared_with)
    branches_if_equal = staticmethod(branches.branches_if_equal)
    tested = staticmethod(branches.tested)
    settled = staticmethod(branches.settled)
    entry = staticmethod(tables.entry)
    summands = staticmethod(tables.summands)

    next_frame = staticmethod(frames.next_frame)
    exposes = staticmethod(frames.exposes)
    reaches_up = staticmethod(frames.reaches_up)

    keeps = staticmethod(values.keeps)
    sources = staticmethod(values.sources)
    after = staticmethod(execution.after)
    leads = staticmethod(execution.leads)
