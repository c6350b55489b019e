"""Where the stack pointer and its copies point before each instruction of one region: a forward data-flow analysis."""

from typing import TYPE_CHECKING

from binsafe.syscalls.machines.machine import Frame

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.regions import Region


def follow(region: "Region") -> tuple[list[Frame], set[int]]:
    """The frame before each instruction, empty where nothing is known of it, and the slots that were forgotten.

    To those a register points on one but not on all ways that join somewhere. Where ways join, the frames' common part
    is known (a copy of the stack pointer may walk over an array in a loop). Instructions without predecessors, to which
    only a jump table can lead, come last: padding falls into code that has a frame of its own.
    """
    machine, instructions, jumps = region.machine, region.instructions, region.jumps
    frames: list[Frame | None] = [None] * len(instructions)
    forgotten: set[int] = set()
    work: list[tuple[int, Frame]] = [(0, {machine.stack: 0})]
    first_indirect = next(iter(region.indirect_jumps), None)
    orphans: list[tuple[int, Frame]] = []
    caught: list[tuple[int, Frame]] = []
    pads, thrown = region.pads, region.thrown
    while work or caught or orphans:
        at, frame = (work or caught or orphans).pop()
        while at < len(frames):
            frame = _landed(region, at, frame) if at in pads else frame
            known = frames[at]
            if known is not None:
                agreed = _agreed(known, frame, machine.stack)
                forgotten.update(slot for way in (known, frame) for name, slot in way.items() if name not in agreed)
                if len(agreed) == len(known):
                    break
                frame = agreed
            frames[at] = frame
            caught += [(pad, frame) for pad in region.landing(at)] if at in thrown else ()
            frame = machine.next_frame(instructions, at, frame)
            jumped = jumps.get(at)
            if jumped is not None:
                work.append((jumped, frame))
            elif at == first_indirect:
                orphans += [(i, frame) for i in region.orphans if region.may_be_case(i)]
            if not region.falls_through(at):
                break
            at += 1
    return [{} if frame is None else frame for frame in frames], forgotten


def _agreed(known: Frame, other: Frame, stack: str) -> Frame:
    """The common part of two frames.

    For the stack pointer itself the first one counts: in compiled code two ways differ in it only behind calls that
    never return, where one of them is no way at all.
    """
    return {name: slot for name, slot in known.items() if name == stack or other.get(name) == slot}


def _landed(region: "Region", at: int, frame: Frame) -> Frame:
    """What of a frame holds at a landing pad: callee-saved registers, and the stack pointer if it is level."""
    level = all(caught.level for caught in region.pads[at])
    kept = {*region.machine.preserved(go=False), *([region.machine.stack] if level else ())}
    return {name: slot for name, slot in frame.items() if name in kept}
