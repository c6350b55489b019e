"""Policies as they are derived from made-up reports."""

from typing import Any

from made_reports import make_report, make_slice

from binsafe import baselines
from binsafe.model import Policy
from binsafe.policy import Baseline, Request, derive
from binsafe.syscalls import tables

FLAKY = baselines.load("flaky_servers")
ALL_CALLS = tuple(tables.numbers("x86_64"))


def policy_of(request: Request | None = None, baseline: Baseline = FLAKY, **facts: Any):
    return derive(make_report(make_slice(**facts)), baseline, request or Request())


def permissions(policy: Policy):
    """What a policy permits, without the words around it."""
    return {(grant.kind, grant.object, grant.access, grant.when) for grant in policy.grants}


def calls_of(policy: Policy):
    return {grant.object for grant in policy.of("syscall")}


def denied(policy: Policy):
    return {denial.capability: denial for denial in policy.denied}


def calls_with(policy: Policy, name: str):
    return {grant.access for grant in policy.of("syscall") if grant.object == name}
