"""AArch64: the number is in x8; ``svc #0`` leaves its result in x0 and every other register as it was.

Encodings: Arm ARM (DDI 0487), section C4; convention of the kernel: ``arch/arm64/kernel/syscall.c``; of C: AAPCS64,
section 6.1.1; of Go: ``abi-internal.md`` (no register but sp and x29 survives a call).
"""

from collections.abc import Iterator, Mapping

import numpy as np

from binsafe.syscalls.conventions import CONVENTIONS
from binsafe.syscalls.decoding.code import CodeRange
from binsafe.syscalls.decoding.decode import JUNK, Instruction
from binsafe.syscalls.machines import arm64_addresses as addresses
from binsafe.syscalls.machines import arm64_branches as branches
from binsafe.syscalls.machines import arm64_displacements as displacements
from binsafe.syscalls.machines import arm64_frames as frames
from binsafe.syscalls.machines import arm64_scans as scans
from binsafe.syscalls.machines import arm64_tables as tables
from binsafe.syscalls.machines import arm64_values as values
from binsafe.syscalls.machines import arm64_veneers as veneers
from binsafe.syscalls.machines.edges import Edges
from binsafe.syscalls.machines.machine import Frame, Step

_PRESERVED_BY_GO = frozenset({"x29"})


class Arm64:
    """A `binsafe.syscalls.machines.machine.Machine`: what each member is for stands there."""

    arch = "arm64"
    abi = CONVENTIONS["arm64"].abi
    site = "svc"
    number = "x8"
    result = "x0"
    arguments = CONVENTIONS["arm64"].arguments
    returned = frozenset({"x0", "x1"})
    passed: tuple[str, ...] = arguments[:6]
    nonsense = frozenset({JUNK, "udf", "hvc", "smc", "eret", "dcps1", "dcps2", "dcps3", "drps"})
    compare = "cmn"
    prefixes = frozenset[int]()
    undefined = frozenset[int]()  # words are: permanently, by `udf`, or until somebody needs them
    stack = "sp"
    call_shift = 0
    names_absolutely = False  # an instruction has 4 bytes

    @staticmethod
    def preserved(*, go: bool) -> frozenset[str]:
        """See `Machine.preserved`."""
        return _PRESERVED_BY_GO if go else values.PRESERVED

    find_sites = staticmethod(scans.find_sites)

    @staticmethod
    def find_foreign(code: CodeRange) -> Iterator[int]:  # noqa: ARG004 - see below
        """None: a program for 64 bits has no way to the calls for 32."""
        return iter(())

    changed_returns = staticmethod(scans.changed_returns)
    reached = staticmethod(displacements.reached)
    calls = staticmethod(scans.calls)
    jumps = staticmethod(scans.jumps)

    @staticmethod
    def short_jumps(code: CodeRange) -> Edges:
        """None: `jumps` has them all."""
        nothing = np.array([code.address][:0], np.int64)
        return Edges(nothing, nothing)

    @staticmethod
    def short_jumps_into(*_: object) -> Iterator[tuple[int, int]]:
        """None either."""
        return iter(())

    closes = staticmethod(scans.closes)
    restored = staticmethod(veneers.restored)
    references = staticmethod(scans.references)

    @staticmethod
    def set_numbers(*_: object) -> tuple[tuple[int, int, int], ...]:
        """None: it is decoded."""
        return ()

    page = staticmethod(addresses.page)
    distances = staticmethod(addresses.distances)
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

    @staticmethod
    def reaches_up(instruction: Instruction, frame: Frame) -> None:
        """None: a call leaves the address in a register."""

    keeps = staticmethod(values.keeps)
    sources = staticmethod(values.sources)

    @staticmethod
    def after(step: Step, known: Mapping[str, int]) -> Mapping[str, int]:  # noqa: ARG004 - see below
        """Nothing: it is not run forward."""
        return {}

    @staticmethod
    def leads(step: Step, known: Mapping[str, int]) -> None:
        """None: see `after`."""
