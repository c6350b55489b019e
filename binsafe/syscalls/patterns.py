"""Sites whose number comes out of memory, in code whose source says which numbers those can be."""

from collections.abc import Mapping
from types import MappingProxyType

from binsafe.syscalls.program import Program
from binsafe.syscalls.wrappers import Gap

COVERED: Mapping[str, str] = MappingProxyType(
    {
        "runtime.runPerThreadSyscall": (
            "repeats on every thread the call that syscall.runtime_doAllThreadsSyscall left in memory. "
            "That function is the only writer, and makes the same call itself first, with the number that it is given: "
            "the walk from there finds every such number. Where it is not linked the memory stays zero and nothing "
            "ever asks for the repetition (Go, runtime/os_linux.go)"
        ),
    }
)
"""Go function -> why the numbers it uses are all found elsewhere.

The name is the program's own word. One that lies about it is only denied the calls it hides.
"""


def is_covered(program: Program, gap: Gap) -> bool:
    """Whether the numbers that are missing here are known to be found elsewhere."""
    return program.go_name(gap.address) in COVERED
