"""Policy -> the one document that says what Linux enforces, layer by layer: ``binsafe.profile/1``."""

from collections.abc import Iterator
from typing import Final

import msgspec

from binsafe.errors import CannotExpress
from binsafe.kernel.rights import LATEST
from binsafe.model import Gap, Policy
from binsafe.policy.objects import ARTIFACT
from binsafe.renderers import landlock
from binsafe.renderers.profile import Profile

PROFILE_SCHEMA: Final = "binsafe.profile/1"

NAMESPACES: Final = ("user", "mount", "pid", "net", "ipc", "uts", "cgroup")
"""The namespaces (namespaces(7)) that the program gets new and empty."""


def render(policy: Policy, *, binary: str | None = None, allow_partial: bool = False) -> Profile:
    """The document: the policy, the OCI filter, the Landlock plan of the newest ABI, namespaces, limits and gaps.

    Raises:
        CannotExpress: a grant that this backend cannot give (unless ``allow_partial``: then it stays denied and is
            listed).
        UsageError: the policy is for another system, or grants a system call that cannot be granted.
    """
    from binsafe.renderers import oci  # a start asks for the gaps alone

    del binary  # the launcher knows where the program lies
    missing = tuple(gaps(policy))
    if missing and not allow_partial:
        raise CannotExpress(missing[0].reason, hint="leave the grant out, or add --allow-partial to go on without it")
    content = {
        "schema": PROFILE_SCHEMA,
        "policy": msgspec.to_builtins(policy),
        "seccomp": oci.document(policy),
        "landlock": landlock.document(landlock.plan(policy, LATEST)),
        "namespaces": NAMESPACES,
        "limits": {grant.object: int(grant.access) for grant in policy.of("limit")},
        "gaps": [msgspec.to_builtins(gap) for gap in missing],
    }
    import json  # what runs a program asks for no text

    return Profile(mechanism="linux", text=json.dumps(content, indent=2) + "\n", gaps=missing)


def gaps(policy: Policy) -> Iterator[Gap]:
    """The grants that the Linux backend cannot give: each stays denied."""
    inspected = {file.path for file in policy.artifact.files} | {file.opened_as for file in policy.artifact.files}
    for grant in policy.of("execute"):
        if grant.object != ARTIFACT and grant.object not in inspected:
            yield Gap(
                id="linux-exec", reason=f"{grant.object} stays denied: the policy names no inspected bytes for it"
            )
