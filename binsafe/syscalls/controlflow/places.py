"""Single instructions, and the kinds of edges between them."""

from enum import Enum, auto

import msgspec

from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.decoding.decode import Instruction
from binsafe.syscalls.machines.machine import Flow

_THROUGH = (Flow.CALL, Flow.INDIRECT)


class Place(msgspec.Struct, frozen=True):
    """One instruction in its region."""

    region: Region
    at: int
    """Its index among the region's instructions."""

    @property
    def instruction(self) -> Instruction:
        """The instruction itself."""
        return self.region.instructions[self.at]

    @property
    def address(self) -> int:
        """Where it stands in memory."""
        return self.region.instructions.addresses[self.at]

    def leads(self, kind: "Kind", target: int) -> bool:
        """Whether the instruction is a branch of that kind to a target, or an indirect one that may lead there."""
        flow, leads_to = self.region.flow(self.at)
        through = leads_to is None and flow in _THROUGH
        return (leads_to == target or through) and (flow is Flow.CALL) == (kind is Kind.CALL)


class Kind(Enum):
    """How control comes from one instruction to another."""

    FLOW = auto()
    """Inside of a region: control falls through, jumps, or comes back from a call."""
    ENTRY = auto()
    """From one region into another without a call: a tail jump, a split-off cold part, a label in assembler."""
    CALL = auto()
    """From a call to the first instruction of the callee."""
    CAUGHT = auto()
    """From an instruction that may throw to the landing pad at which that is caught."""


class Edge(msgspec.Struct, frozen=True):
    """A way to an instruction: of what kind, and from which other one."""

    kind: Kind
    place: Place

    @property
    def enters(self) -> bool:
        """Whether it leads from one region into another."""
        return self.kind is Kind.ENTRY or self.kind is Kind.CALL
