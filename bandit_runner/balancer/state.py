"""What the strategies learnt, in a file, so that a restart does not begin anew."""

import contextlib
import os
from pathlib import Path
from typing import Any, Final

import msgspec

from bandit_runner.balancer.server import Balancer
from bandit_runner.errors import StateMismatch, UsageError

SCHEMA: Final = "binsafe.strategies/1"
MAX_BYTES: Final = 64 * 1024**2


class Saved(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One snapshot per tier."""

    schema: str
    tiers: dict[str, dict[str, Any]]


def save(balancer: Balancer, path: Path) -> None:
    """Write every tier's snapshot; the file is replaced whole, so that a kill leaves the old one or the new one.

    Raises:
        UsageError: it cannot be written there.
    """
    tiers = {name: strategy.snapshot() for name, strategy in balancer.strategies.items()}
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(msgspec.json.encode(Saved(schema=SCHEMA, tiers=tiers)))
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise UsageError(f"{path}: {error.strerror}", hint="name a file that can be written with --state") from error


def load(balancer: Balancer, path: Path) -> bool:
    """Restore every tier from the file; False if there is none yet.

    Raises:
        StateMismatch: the file is damaged, or of other strategies or servers; nothing of it is used.
    """
    hint = "choose the strategy and servers it was saved with, or move it away"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise StateMismatch(f"{path} is larger than any state", hint=hint)
        saved = msgspec.json.decode(path.read_bytes(), type=Saved)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint="name a file that can be read with --state") from error
    except msgspec.DecodeError as error:
        raise StateMismatch(f"{path} is damaged: {error}", hint=hint) from error
    strategies = balancer.strategies
    if saved.schema != SCHEMA or saved.tiers.keys() != strategies.keys():
        raise StateMismatch(f"{path} was saved by another balancer", hint=hint)
    before = {name: strategy.snapshot() for name, strategy in strategies.items()}
    try:
        for name, strategy in strategies.items():
            strategy.restore(saved.tiers[name])
    except StateMismatch:
        for name, strategy in strategies.items():
            strategy.restore(before[name])
        raise
    return True
