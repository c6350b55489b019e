"""``--ports``: counts, ranges, lists and single ports, as the command line takes them.

30              a count: the first 30 ports of the baseline's layout (a bare number up to 65)
4000-4009,5000  ranges and lists name ports
:8080           one port, whatever its number
:0              ports that the kernel chooses, on loopback
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from binsafe.errors import UsageError
from binsafe.policy.baseline import PortLayout
from binsafe.policy.objects import ObjectError, port_number, port_range

MAX_COUNT = 65
"""The largest bare number that is a count; above it a person means a port and is told how to write one."""

MAX_PORTS = 4_096
"""Ports that one policy may grant: more make a macOS profile take seconds to compile."""

_BARE = re.compile(r"[0-9]{1,9}")
_HINT = "write a count (30), a range (4000-4009), a list (4000-4009,5000), one port (:8080), or :0"


def parse_ports(specs: Sequence[str], layout: PortLayout | None) -> tuple[int, ...]:
    """The ports that all the specifications together name, ascending; 0 stands for ports that the kernel chooses.

    Raises:
        UsageError: a specification follows no form, a count has no layout to count in or exceeds it, or more than
            `MAX_PORTS` are named.
    """
    ports: set[int] = set()
    for spec in specs:
        ports.update(_count(spec, layout) if _BARE.fullmatch(spec) else _listed(spec))
        if len(ports) > MAX_PORTS:
            raise UsageError(f"--ports {spec}: more than {MAX_PORTS} ports", hint="name the ports that it really needs")
    return tuple(sorted(ports))


def _count(spec: str, layout: PortLayout | None) -> tuple[int, ...]:
    count = int(spec)
    if count > MAX_COUNT:
        raise UsageError(
            f"--ports {spec}: a bare number is a count and ends at {MAX_COUNT}",
            hint=f"to grant the port {spec}, write --ports :{spec}",
        )
    if layout is None:
        raise UsageError(
            f"--ports {spec}: a count needs a baseline with a port layout, and this one has none",
            hint=f"name the ports: --ports :{spec} or --ports 8000-8009; or use --baseline flaky_servers",
        )
    available = layout.ports
    if not 1 <= count <= len(available):
        ranges = ", ".join(f"{first}-{last}" for first, last in layout.ranges)
        raise UsageError(
            f"--ports {spec}: the baseline's layout has {len(available)} ports ({ranges})",
            hint=f"name a count from 1 to {len(available)}, or the ports themselves: --ports 4000-4009,5000",
        )
    return available[:count]


def _listed(spec: str) -> Iterator[int]:
    for item in spec.split(","):
        try:
            yield from (port_number(item[1:], lowest=0),) if item.startswith(":") else port_range(item)
        except ObjectError as problem:
            raise UsageError(f"--ports {spec}: {problem}", hint=_HINT) from None


def ranges(ports: Iterable[int]) -> str:
    """Ports as a person writes them: ``4000-4009, 8080``; 0 stands for those that the kernel chooses."""
    runs: list[list[int]] = []
    for port in sorted(set(ports)):
        if runs and port == runs[-1][1] + 1:
            runs[-1][1] = port
        else:
            runs.append([port, port])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
