"""The widest policy that the shipped baseline can give a static program: the whole cap, whatever was found."""

from binsafe import baselines
from binsafe.intake import Snapshot
from binsafe.model import Grant, Policy
from binsafe.model.policy import PolicyArtifact
from binsafe.policy.walls import ALWAYS
from binsafe.sandbox.linux.backend import native_arch
from binsafe.syscalls import tables


def widest_policy(snapshot: Snapshot, ports: tuple[int, ...] = (), **changes: tuple[Grant, ...]) -> Policy:
    """Everything that the baseline ``flaky_servers`` lets a static program have."""
    baseline = baselines.load("flaky_servers")
    always = tuple(Grant(kind="syscall", object=name, reason=reason) for name, reason in ALWAYS.items())
    listen = tuple(Grant(kind="listen", object=f"127.0.0.1:{p}", access="tcp", reason="test") for p in ports)
    own = tuple(Grant(kind=kind, object="artifact", reason="test") for kind in ("execute", "read"))
    groups = (group for group in baseline.calls if group.needs in {None, "write"})
    calls = tuple(grant for group in groups for grant in group.grants if _exists(grant.object))
    return Policy(
        artifact=PolicyArtifact(
            name=snapshot.artifact.name, sha256=snapshot.artifact.sha256, system="linux", arch=native_arch()
        ),
        baseline=baseline.name,
        grants=(*own, *listen, *changes.get("grants", ()), *baseline.grants, *calls, *always),
    )


def _exists(name: str) -> bool:
    return name in tables.numbers(native_arch())
