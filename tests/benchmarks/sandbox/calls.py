"""Nanoseconds of a system call under the stand-in's filter, beside the same call without one.

Each figure is the least of many runs in a process of its own, Python's loop included. A filter that allows everything
in one instruction shows what the kernel takes for having any: what is above that is ours.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import policies

from binsafe import kernel
from binsafe.kernel.bpf import Op, Statement, assemble
from binsafe.policy import read_policy
from binsafe.renderers import seccomp
from binsafe.sandbox.linux.backend import native_arch

RUNS, CALLS = 300, 2_000
ALLOW_ALL = assemble([Statement(Op.RETURN, seccomp.RET_ALLOW)])


def print_table(program: Path, folder: Path) -> None:
    """Print a row for each call."""
    policy = read_policy(policies.derived(program, folder, "--ports", "30").read_text(), "the policy")
    code = seccomp.compile_alone(policy, native_arch(), may_bind=True, launcher=())
    bare, any_filter, ours = (_in_a_child(each) for each in (None, ALLOW_ALL, code))
    print(f"calls, ns, least of {RUNS} runs; our filter has {len(code) // 8} instructions")
    print(f"  {'':8} {'none':>8} {'allow all':>14} {'ours':>14}")
    for name, none in bare.items():
        added = [f"{found[name]:.0f} ({found[name] - none:+.0f})" for found in (any_filter, ours)]
        print(f"  {name:8} {none:8.0f} {added[0]:>14} {added[1]:>14}")


def _in_a_child(code: bytes | None) -> dict[str, float]:
    """Each call's nanoseconds in a fresh process, under a filter if there is one."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, msgspec.json.encode(_measured(code)))
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as stream:
        found: dict[str, float] = msgspec.json.decode(stream.read())
    os.waitpid(child, 0)
    return found


def _measured(code: bytes | None) -> dict[str, float]:
    zero, null = os.open("/dev/zero", os.O_RDONLY), os.open("/dev/null", os.O_WRONLY)
    if code is not None:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        kernel.seccomp_install(code)
    return {
        "getpid": _least(os.getpid),
        "read": _least(lambda: os.read(zero, 1)),
        "write": _least(lambda: os.write(null, b"x")),
    }


def _least(action: Callable[[], object]) -> float:
    """Nanoseconds of one call, in the run that was disturbed least."""
    best = float("inf")
    for _ in range(RUNS):
        begun = time.perf_counter_ns()
        for _ in range(CALLS):
            action()
        best = min(best, time.perf_counter_ns() - begun)
    return best / CALLS
