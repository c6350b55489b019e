"""`test_broadcast` on arm64: as Debian's static programs hold glibc's ``setresuid`` and its handler."""

import pytest
from assembled import DATA, Arm, program

from binsafe.model import Syscalls
from binsafe.syscalls import analyse

SETRESUID, SWAPON = 147, 224
SIGNAL_33, SIGNAL_34 = 0x7100_841F, 0x7100_881F  # cmp w0, #33
STORED_0, STORED_5, ADDRESS_TAKEN = 0xF900_083F, 0xF900_0825, 0x9100_4025  # str xzr, [x1, #16]; add x5, x1, #16


def _analysed(number: int = SETRESUID, *, signal: int = SIGNAL_33, at_last: int = STORED_0) -> Syscalls:
    arm = Arm()
    arm.labels["variable"] = DATA + 16
    arm.call("one")
    arm.word(0xD420_0000)  # brk
    arm.label("one")
    arm.word(0xD101_03FF)  # sub sp, sp, #64
    arm.mov(1, number)
    arm.word(0x9100_03E0)  # mov x0, sp
    arm.word(0xB900_03E1)  # str w1, [sp]
    arm.call("all")
    arm.word(0xD420_0000)
    arm.label("all")
    arm.word(0xF81E_0FFE)  # str x30, [sp, #-32]!
    arm.copy(19, 0)
    arm.page(1, "variable")
    arm.word(0xF900_0833)  # str x19, [x1, #16]
    arm.mov(0, 33)
    arm.call("handler")
    arm.word(0xB980_0268)  # ldrsw x8, [x19]
    arm.syscall()
    arm.page(1, "variable")
    arm.word(at_last)
    arm.word(0xF842_07FE)  # ldr x30, [sp], #32
    arm.ret()
    arm.label("handler")
    arm.word(signal)
    arm.jump_if("ne", "out")
    arm.word(0xB940_0820)  # ldr w0, [x1, #8]
    arm.word(0x3100_181F)  # cmn w0, #6
    arm.jump_if("ne", "out")
    arm.page(2, "variable")
    arm.word(0xF940_0843)  # ldr x3, [x2, #16]
    arm.word(0xB980_0068)  # ldrsw x8, [x3]
    arm.syscall()
    arm.label("out")
    arm.ret()
    found = analyse(program(arm, functions=("start", "one", "all", "handler"), data=bytes(64)))
    assert found is not None
    return found


def test_what_changes_identity_on_all_threads():
    found = _analysed()
    assert found.complete
    assert set(found.sites) == {"setresuid"}


@pytest.mark.parametrize(
    "found",
    [_analysed(SWAPON), _analysed(signal=SIGNAL_34), _analysed(at_last=STORED_5), _analysed(at_last=ADDRESS_TAKEN)],
    ids=["swapon", "handler of another signal", "another writer", "variable taken"],
)
def test_what_is_no_such_call_or_not_known_is_reported(found: Syscalls):
    assert not found.complete
    assert "read from memory" in found.unresolved[0].reason
