"""Policies put together by hand, with just what a test is about."""

from functools import cache

from binsafe import baselines
from binsafe.model import Denial, Grant, Policy
from binsafe.model.policy import GrantKind, PolicyArtifact
from binsafe.policy.conditions import parse_condition
from binsafe.policy.walls import ALWAYS
from binsafe.syscalls import tables


def make_policy(*grants: Grant, system: str = "linux", arch: str = "x86_64", denied: tuple[Denial, ...] = ()):
    artifact = PolicyArtifact(name="program", sha256="cd" * 32, system=system, arch=arch)
    return Policy(artifact=artifact, baseline="test", grants=grants, denied=denied)


def call(name: str, text: str = ""):
    return Grant(
        kind="syscall", object=name, access=text, when=parse_condition(text) if text else (), reason="for a test"
    )


def grant(kind: GrantKind, name: str, access: str = "", reason: str = "for a test"):
    return Grant(kind=kind, object=name, access=access, reason=reason)


@cache
def whole_cap(arch: str = "x86_64"):
    """Everything that the baseline flaky_servers can grant to a static program that writes no files."""
    known = tables.numbers(arch)
    groups = (group for group in baselines.load("flaky_servers").calls if group.needs is None)
    calls = (each for group in groups for each in group.grants)
    always = (call(name) for name in ALWAYS if name in known)
    return make_policy(*always, *(each for each in calls if each.object in known), arch=arch)
