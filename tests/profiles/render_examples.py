"""Makes profiles/rendered anew: ``python tests/profiles/render_examples.py``. The drift test compares with the same.

The artifact is a stand-in for any plain static Go program: it listens (a tool does not), could connect out, and makes
exactly the system calls of the whole cap, so that each rule the baseline can lead to is there to be reviewed.
"""

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from binsafe import baselines
from binsafe.model import Report
from binsafe.policy import Request, derive
from binsafe.policy.baseline import Baseline
from binsafe.renderers import render
from binsafe.syscalls import tables

ROOT = Path(__file__).parents[2] / "profiles" / "rendered"
EXAMPLES = {
    "linux/flaky_servers.json": ("linux", "x86_64"),
    "seccomp/flaky_servers.json": ("linux", "x86_64"),
    "landlock/flaky_servers.json": ("linux", "x86_64"),
    "policy/flaky_servers.json": ("linux", "x86_64"),
    "systemd/flaky_servers.service": ("linux", "x86_64"),
    "systemd/network_server.service": ("linux", "arm64"),
    "bwrap/cli_tool.sh": ("linux", "x86_64"),
    "seatbelt/flaky_servers.sb": ("macos", "arm64"),
    "seatbelt/cli_tool.sb": ("macos", "arm64"),
}
"""MECHANISM/BASELINE below profiles/rendered -> the artifact's system and processor."""


def placeholder(baseline: Baseline, system: str, arch: str) -> Report:
    """The report of the artifact."""
    known = tables.numbers(arch)
    calls = sorted({each.object for group in baseline.calls for each in group.grants if each.object in known})
    evidence = {"via": "function", "symbol": "net.(*netFD)"}
    uses = ("connect",) if baseline.name == "cli_tool" else ("listen", "connect")
    operations = [{"name": name, "evidence": [evidence], "evidence_total": 1} for name in uses]
    piece: dict[str, Any] = {
        "arch": arch,
        "system": system,
        "kind": "executable",
        "linkage": "static",
        "language": "go",
        "libraries": [],
        "rpaths": [],
        "signature": {"kind": "none", "status": "absent"},
        "entitlements": None,
        "entitlements_source": None,
        "network": {"verdict": "yes", "operations": operations},
        "syscalls": {"abi": f"{system}-{arch}", "complete": True, "required": calls, "likely": calls},
        "hardening": {},
        "build": {},
    }
    names = {"flaky_servers": "flakyservers", "network_server": "server", "cli_tool": "tool"}
    report = {
        "artifact": {
            "name": names[baseline.name],
            "path": f"/placeholder/{names[baseline.name]}",
            "size": 0,
            "sha256": "0" * 64,
        },
        "format": "elf" if system == "linux" else "mach-o",
        "analysed": True,
        "slices": [piece],
        "verdict": {"level": "ok", "advice": "an example"},
    }
    return msgspec.convert(report, Report)


@cache
def example(name: str) -> str:
    """What stands in the file of that name."""
    system, arch = EXAMPLES[name]
    mechanism, baseline = Path(name).parent.name, baselines.load(Path(name).stem)
    return render(derive(placeholder(baseline, system, arch), baseline, Request()), mechanism).text


if __name__ == "__main__":
    for name in EXAMPLES:
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(example(name), encoding="utf-8")
