"""A cache of derived policies, by bytes, rules and options: a second start needs no inspection.

Kept in the user's cache; a file that others could have written, or that is no policy, counts as not there.
What a policy says of libraries is compared with their bytes at each start, so a stale one is noticed there.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from binsafe.intake.store import Store, cache_folder
from binsafe.shipped import shipped

if TYPE_CHECKING:
    from binsafe.cli.asked import Asked
    from binsafe.intake import Snapshot
    from binsafe.model import Policy

_MAKERS: Final = ("cli", "extractors", "formats", "intake", "model", "policy", "signatures", "syscalls")
"""The packages between a file and its policy, beside the modules that are in no package of ours."""

_FORM: Final = "1"
"""How they are kept; also a folder of their own, so that room for them is made among them."""


def key_for(snapshot: "Snapshot", asked: "Asked") -> str:
    """What the policy depends on, as one digest: the bytes, their place, what was asked, and our own code and rules."""
    digest = hashlib.sha256()
    artifact = snapshot.artifact
    own = sorted(modified())
    values = [(name, os.environ.get(name)) for name in asked.env]
    wishes = repr((asked, values, Path.cwd()))
    parts = [artifact.sha256, artifact.name, artifact.path, wishes, repr(own), repr(_installed())]
    for part in parts:
        digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    for name, text in _rules(asked):
        digest.update(name.encode() + b"\0" + text + b"\0")
    return digest.hexdigest()


def recall(key: str) -> "Policy | None":
    """The policy that was kept under a key, if there is one that can be trusted: it is as we derived it."""
    from binsafe.model import Policy

    kept = Store(_folder()).read(key)
    try:
        return None if kept is None else msgspec.json.decode(kept, type=Policy)
    except msgspec.MsgspecError:
        return None


def keep(key: str, policy: "Policy") -> None:
    """Keep a policy; where that cannot be done, the next start derives it again."""
    Store(_folder()).write(key, msgspec.json.encode(policy))


def _installed() -> int:
    """When packages were last installed or removed, in nanoseconds: they hold what lies beside programs (`packs`)."""
    try:
        return os.stat("/var/lib/dpkg/status").st_mtime_ns  # noqa: PTH116 - on the way to each start
    except OSError:
        return 0


def _folder() -> Path:
    return cache_folder() / "policies" / _FORM


def _rules(asked: "Asked") -> list[tuple[str, bytes]]:
    """All baselines and packs that there are, and the user's own."""
    files = [entry for folder in ("baselines", "packs") for entry in shipped(folder).iterdir()]
    rules = sorted((entry.name, entry.read_bytes()) for entry in files)
    if asked.baseline is not None and Path(asked.baseline).is_file():
        rules.append((asked.baseline, Path(asked.baseline).read_bytes()))
    return rules


def modified() -> Iterator[tuple[str, int]]:
    """The modules that a policy comes from and when they were changed: no update uses what another one derived."""
    package = str(Path(__file__).parents[1])
    waiting = [package, *(f"{package}/{name}" for name in _MAKERS)]
    for folder in waiting:  # grows while it is walked
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    yield entry.path, entry.stat().st_mtime_ns
                elif folder != package and entry.is_dir():
                    waiting.append(entry.path)
