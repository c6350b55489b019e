"""Options that `profile` and `run` share: what to grant."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

if TYPE_CHECKING:
    from binsafe.model import Policy, Report


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The grants that a command line asks for, as typed."""

    ports: tuple[str, ...]
    baseline: str | None
    read: tuple[str, ...]
    write: tuple[str, ...]
    connect: tuple[str, ...]
    execute: tuple[str, ...]
    env: tuple[str, ...] = ()


_OPTIONS = (
    click.option(
        "--ports",
        multiple=True,
        metavar="SPEC",
        help="TCP ports to listen on: a count of the baseline's own (30), ports (:8080), ranges (4000-4009,5000).",
    ),
    click.option("--baseline", metavar="NAME|PATH", help="What this kind of program may have at most."),
    click.option("--read", multiple=True, metavar="PATH", help="Let it read a file or folder."),
    click.option("--write", multiple=True, metavar="PATH", help="Let it write a file or folder."),
    click.option("--connect", multiple=True, metavar="HOST:PORT", help="Let it connect there: data can leave by it."),
    click.option("--exec", "execute", multiple=True, metavar="PATH", help="Let it execute another program."),
)


def grants(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command; they arrive as the fields of `Asked`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def derive_policy(report: "Report", asked: Asked) -> "Policy":
    """Report + baseline + what was asked for -> policy.

    Raises:
        UsageError: a port, path or name that cannot be, or a baseline that is not there.
    """
    from binsafe import baselines, policy

    baseline = baselines.load(asked.baseline or policy.default_baseline(report))
    request = policy.Request(
        ports=policy.parse_ports(asked.ports, baseline.ports) if asked.ports else None,
        read=tuple(_absolute(path) for path in asked.read),
        write=tuple(_absolute(path) for path in asked.write),
        connect=asked.connect,
        execute=tuple(_absolute(path) for path in asked.execute),
        environment=tuple(_variable(text) for text in asked.env),
    )
    return policy.derive(report, baseline, request)


def _absolute(path: str) -> str:
    """The resolved path: the kernel compares those, on every system."""
    return str(Path(path).resolve())


def _variable(text: str) -> tuple[str, str]:
    """NAME=VALUE, or NAME for the value that we have ourselves."""
    import os

    name, equals, value = text.partition("=")
    return name, value if equals else os.environ.get(name, "")
