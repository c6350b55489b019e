"""Single instructions, and how control comes from one to another."""

from enum import Enum, auto
from typing import NamedTuple

from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.decoding.decode import Instruction
from binsafe.syscalls.machines.machine import Flow


class Place(NamedTuple):
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
        """Whether the instruction that really stands there is that branch."""
        flow, leads_to = self.region.flow(self.at)
        through = leads_to is None and flow in {Flow.CALL, Flow.INDIRECT}
        return (leads_to == target or through) and (flow is Flow.CALL) == (kind is Kind.CALL)


class Kind(Enum):
    """How control comes from one instruction to another."""

    FLOW = auto()
    """Inside a region: it falls through or jumps; also behind a call, when that returns."""
    ENTRY = auto()
    """From one region into another without a call: a tail jump, a split-off cold part, a label in assembler."""
    CALL = auto()
    CAUGHT = auto()
    """An exception out of it is caught: control comes to a landing pad of the same function."""


class Edge(NamedTuple):
    """An instruction from which control comes."""

    kind: Kind
    place: Place

    @property
    def enters(self) -> bool:
        """Whether it leads from one function, or what looks like one, into another."""
        return self.kind in {Kind.ENTRY, Kind.CALL}
