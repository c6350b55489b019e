"""The last process of the stage becomes the program: it gives up one thing after the other, and executes.

Runs inside; imports no more than ``stage`` does.
"""

import os
import resource
import struct

from binsafe import kernel
from binsafe.sandbox.linux import messages
from binsafe.sandbox.linux.failing import Failed, step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from binsafe.sandbox.linux.failing import Plan


def become_program(control: int, status: int, plan: "Plan") -> int:
    """Give everything up, last of all the right to make calls that are not granted, and execute the program."""
    os.setsid()
    if plan.get("terminal"):
        kernel.control(0)  # so that shells can give it to their jobs
    kernel.default_signals(kernel.SIGPIPE, kernel.SIGXFSZ)  # Python ignores them
    kernel.unblock_signals()
    with step("limits"):
        for name, value in plan["limits"]:
            lower_limit(getattr(resource, f"RLIMIT_{name}"), value)
    with step("privileges"):
        kernel.drop_capabilities()
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if plan["landlock"]["handled"]:
        with step("landlock"):
            kernel.landlock_restrict(plan["landlock"]["handled"], plan["landlock"]["rules"])
    with step("working folder"):
        os.chdir(plan["cwd"])
    kept = {status}
    if isinstance(plan["execute"], int):
        kept.add(plan["execute"])
    close_all_but(0, 1, 2, control, *kept)
    for descriptor in kept:
        os.set_inheritable(descriptor, False)
    # From the filter on this process may say nothing that the program may not say. So the supervisor is told beforehand
    # which descriptor the listener will get (the lowest free one), and takes it from there; until it answers, our next
    # call that needs an answer waits.
    free = min({3, 4, 5}.difference(kept))
    os.write(control, messages.encode("armed", free))
    os.close(control)
    with step("seccomp"):
        kernel.seccomp_install(with_own_process(plan["filter"], plan))
    if plan["execute"] is None:
        from binsafe.sandbox.linux.trial import try_out  # the doctor's alone; `stage` has loaded it

        os.close(status)  # as execve would
        return try_out(plan.get("closed"))
    try:
        os.execve(plan["execute"], plan["argv"], plan["environment"])
    except OSError as error:
        raise Failed("execute", error) from error


def close_all_but(*keep: int) -> None:
    """Close all descriptors except ``keep``; standard input, output and error become /dev/null unless kept."""
    if replaced := {0, 1, 2}.difference(keep):  # else nothing is opened: Landlock may be in force already
        null = os.open("/dev/null", os.O_RDWR)
        for standard in replaced:
            os.dup2(null, standard)
    low = 3
    for descriptor in sorted(set(keep).difference({0, 1, 2})):
        os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def lower_limit(number: int, value: int) -> None:
    """Set a limit, soft and hard, to ``value``, or to the present hard limit if that is lower."""
    hard = resource.getrlimit(number)[1]
    ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(number, (ceiling, ceiling))


def with_own_process(program: bytes, plan: "Plan") -> bytes:
    """The filter with our own process id, as it is inside, for the number that stands for it."""
    instructions = struct.iter_unpack("=HBBI", program)
    return b"".join(
        struct.pack("=HBBI", *jumps, os.getpid() if constant == plan["own_process"] else constant)
        for *jumps, constant in instructions
    )
