"""Which system calls a program is granted: found in it and in the baseline's cap, as narrow as its arguments are known.

The analysis proves for some arguments every value that they can take. A grant then carries both: the cap's condition,
which is why the call is harmless, and the proved values, which are all that this program needs.
"""

from collections.abc import Iterator
from itertools import product

import msgspec

from binsafe.limits import MAX_EVIDENCE
from binsafe.model import Condition, Evidence, Grant, SliceReport, Syscalls
from binsafe.model.facts import ArgumentValues
from binsafe.policy.baseline import Baseline, CallGroup, Need
from binsafe.policy.conditions import MAX_TEXT, MAX_VALUES, as_text, forms, multiply_out
from binsafe.policy.constants import CONSTANTS
from binsafe.policy.walls import ALWAYS
from binsafe.syscalls import tables

_TYPE = 1
_KIND = 0xF
_OTHER_KIND = CONSTANTS["SOCK_DGRAM"] ^ CONSTANTS["SOCK_SEQPACKET"]
"""A pair of datagram sockets is granted to nobody: each could send to any socket that has a name. Who asks for one is
given the other kind that keeps messages apart, so that kind is what such a program needs (`sandbox.linux.owned`)."""

INCOMPLETE = "analysis not complete: taken from the baseline"


def call_grants(slice_report: SliceReport, baseline: Baseline, given: frozenset[Need]) -> Iterator[Grant]:
    """The system calls of one slice; none for other systems, whose call numbers mean other things.

    ``given`` is what groups may ask for beside the program's linkage, which is looked up here.
    """
    if slice_report.system != "linux":
        return
    known = tables.numbers(slice_report.arch)
    calls = slice_report.syscalls
    found = frozenset(calls.required) if calls else frozenset[str]()
    for name, reason in ALWAYS.items():
        if name in known:
            yield Grant(kind="syscall", object=name, reason=reason)
    if slice_report.linkage == "dynamic":
        given |= {"dynamic"}
    company = found | {"fork"} if calls and _forks(calls) else found
    for group in baseline.calls:
        needed = group.needs is None or group.needs in given
        if needed and (_along(group, company) or (group.assumed and not (calls and calls.complete))):
            yield from _of_group(group, calls, found, frozenset(known))


def _forks(calls: Syscalls) -> bool:
    """Whether it was proved to make processes by clone(2), as glibc's fork(3) does. Not all of them wait for one."""
    flags = (proved for proved in calls.arguments.get("clone", ()) if proved.argument == 0)
    thread = CONSTANTS["CLONE_THREAD"]
    return any(not value & thread for proved in flags if proved.mask & thread for value in proved.values)


def _along(group: CallGroup, found: frozenset[str]) -> bool:
    return not group.along_with or not found.isdisjoint(group.along_with)


def _of_group(
    group: CallGroup, calls: Syscalls | None, found: frozenset[str], known: frozenset[str]
) -> Iterator[Grant]:
    complete = calls is not None and calls.complete
    for grant in group.grants:
        if grant.object not in known:
            continue
        if calls is not None and grant.object in found:
            narrowed = _narrow(grant, calls.arguments.get(grant.object, ())) if complete else grant
            if narrowed is not None:
                yield _with_sites(narrowed, calls.sites.get(grant.object, ()))
        elif group.assumed and not complete:
            yield msgspec.structs.replace(grant, reason=f"{grant.reason} ({INCOMPLETE})")


def _narrow(grant: Grant, proved: tuple[ArgumentValues, ...]) -> Grant | None:
    """The grant for the proved values alone; None where the cap's condition holds for none of them.

    Where that would take more forms than a condition may have, the proof of that argument is left aside: the cap holds.
    """
    when = grant.when
    for argument in proved:
        values = dict.fromkeys(value & argument.mask for value in argument.values)
        if grant.object == "socketpair" and argument.argument == _TYPE:
            values |= {value ^ _OTHER_KIND: None for value in values if value & _KIND == CONSTANTS["SOCK_DGRAM"]}
        fitting = tuple(value for value in values if multiply_out((*when, _test(argument, (value,)))))
        if not fitting:
            return None
        wanted = _meet(when, _test(argument, fitting))
        if forms(wanted) <= MAX_VALUES and len(as_text(wanted, grant.object)) <= MAX_TEXT:
            when = wanted
    return (
        grant if when == grant.when else msgspec.structs.replace(grant, when=when, access=as_text(when, grant.object))
    )


def _test(argument: ArgumentValues, values: tuple[int, ...]) -> Condition:
    return Condition(argument=argument.argument, mask=argument.mask, values=values)


def _meet(when: tuple[Condition, ...], test: Condition) -> tuple[Condition, ...]:
    """The condition with a test added, which becomes one with those of the same argument if that can be listed."""
    mask, values = test.mask, test.values
    for own in when:
        if own.argument == test.argument:
            pairs = product(values, own.values)
            values = tuple(dict.fromkeys(one | other for one, other in pairs if not (one ^ other) & mask & own.mask))
            mask |= own.mask
            if len(values) > MAX_VALUES:
                return (*when, test)
    kept = tuple(own for own in when if own.argument != test.argument)
    return (*kept, Condition(argument=test.argument, mask=mask, values=values))


def _with_sites(grant: Grant, addresses: tuple[str, ...]) -> Grant:
    return msgspec.structs.replace(
        grant, evidence=tuple(Evidence(via="syscall", address=address) for address in addresses[:MAX_EVIDENCE])
    )
