"""binsafe: look at an executable without running it, derive the least it needs, and run it under exactly that.

The public API is what ``__all__`` names; everything else may change. (`bandit_runner`, which is shipped with it, shares
`lazy` and the frame of a command line in `cli` besides; import-linter holds it to that.)

>>> import binsafe
>>> binsafe.parse_ports([":8080"], None)
(8080,)

From a name to a running, confined program::

    found = binsafe.find("flakyservers")
    with binsafe.Snapshot.take(found) as snapshot:          # the bytes that are inspected are the bytes that run
        report = binsafe.inspect(snapshot)
        baseline = binsafe.load_baseline(binsafe.default_baseline(report))
        policy = binsafe.derive(report, baseline, binsafe.Request())
        order = binsafe.Order(policy=policy, program=snapshot.descriptor, on_violation=print)
        process = binsafe.launch(order)

Names are loaded when they are first used, so that ``import binsafe`` costs nothing. The packages in the order of the
data, each importing only what stands above it::

    errors limits   what can go wrong; what hostile input may cost
    lazy arrays     names that are loaded on first use; numpy's types without its typing
    paths           what a path says by its text alone
    model           the words, as frozen structs
    formats         bytes -> Image                          (the only package that imports lief)
    signatures      Slice -> Signature
    syscalls        Slice -> system calls                   (the only package that imports capstone, in its `decoding`)
    extractors      Slice -> facts and findings
    kernel          the system calls that confine, and what they are handed: filters, rights
    containers      archive -> entries
    inspection      artifact -> report
    bundles archives   many files -> report
    intake          name -> sealed bytes -> report          (a package: the parsers run in a process of their own)
    policy reports  report -> policy; report -> text, JSON
    baselines packs what ``profiles/`` ships, found by `shipped`    (apart from policy, which does no I/O)
    distribution    what the package manager put beside a program
    renderers       policy -> profile
    seatbelt checks profiles read back: what is wrong with one, and what it would allow
    sandbox         policy + sealed bytes -> running program
    difference scan two reports; many artifacts
    cli             the commands
"""

from __future__ import annotations

from binsafe._version import __version__

TYPE_CHECKING = False  # without `typing` and `importlib` this costs nothing, and the sandbox starts with it
if TYPE_CHECKING:
    from typing import Any

    from binsafe.baselines import load as load_baseline
    from binsafe.errors import BinsafeError, NotAnalysable, NotEnforceable, NotExecutable, NotFound, UsageError
    from binsafe.intake import Found, Snapshot, find, inspect
    from binsafe.model import Policy, Report, Violation
    from binsafe.policy import Request, default_baseline, derive, parse_ports, read_policy
    from binsafe.renderers import render
    from binsafe.reports.escape import escape
    from binsafe.sandbox import Order, Sandboxed, diagnose, launch

_HOMES = {
    "binsafe.baselines": ("load_baseline",),
    "binsafe.errors": ("BinsafeError", "NotAnalysable", "NotEnforceable", "NotExecutable", "NotFound", "UsageError"),
    "binsafe.intake": ("Found", "Snapshot", "find", "inspect"),
    "binsafe.model": ("Policy", "Report", "Violation"),
    "binsafe.policy": ("Request", "default_baseline", "derive", "parse_ports", "read_policy"),
    "binsafe.renderers": ("render",),
    "binsafe.reports.escape": ("escape",),
    "binsafe.sandbox": ("Order", "Sandboxed", "diagnose", "launch"),
}
_NAMES_THERE = {"load_baseline": "load"}
"""Of those that are called otherwise at home."""

__all__ = [
    "BinsafeError",
    "Found",
    "NotAnalysable",
    "NotEnforceable",
    "NotExecutable",
    "NotFound",
    "Order",
    "Policy",
    "Report",
    "Request",
    "Sandboxed",
    "Snapshot",
    "UsageError",
    "Violation",
    "__version__",
    "default_baseline",
    "derive",
    "diagnose",
    "escape",
    "find",
    "inspect",
    "launch",
    "load_baseline",
    "parse_ports",
    "read_policy",
    "render",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its home on first use (PEP 562)."""
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:  # also asked for each of our modules, once
        raise AttributeError(f"module 'binsafe' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(home), _NAMES_THERE.get(name, name))
