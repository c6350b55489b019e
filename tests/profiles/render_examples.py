"""Makes profiles/rendered anew: ``python tests/profiles/render_examples.py``. The drift test compares with the same.

The artifact is a stand-in for any plain static Go program: it listens (a tool does not), could connect out, and makes
exactly the system calls of the whole cap, so that each rule the baseline can lead to is there to be reviewed.
"""

from pathlib import Path
from typing import Any

import msgspec

from binsafe import baselines
from binsafe.model import Report
from binsafe.policy import Request, derive
from binsafe.renderers import render
from binsafe.syscalls import tables

ROOT = Path(__file__).parents[2] / "profiles" / "rendered"
EXAMPLES = (
    ("linux", "flaky_servers", "linux", "x86_64", "json"),
    ("seccomp", "flaky_servers", "linux", "x86_64", "json"),
    ("landlock", "flaky_servers", "linux", "x86_64", "json"),
    ("policy", "flaky_servers", "linux", "x86_64", "json"),
    ("systemd", "flaky_servers", "linux", "x86_64", "service"),
    ("systemd", "network_server", "linux", "arm64", "service"),
    ("bwrap", "cli_tool", "linux", "x86_64", "sh"),
    ("seatbelt", "flaky_servers", "macos", "arm64", "sb"),
    ("seatbelt", "cli_tool", "macos", "arm64", "sb"),
)
"""Mechanism, baseline, system, processor, and how the file ends."""


def placeholder(baseline: str, system: str, arch: str) -> Report:
    """The report of the artifact."""
    known = tables.numbers(arch)
    groups = baselines.load(baseline).calls
    calls = sorted({each.object for group in groups for each in group.grants if each.object in known})
    evidence = {"via": "function", "symbol": "net.(*netFD)"}
    uses = ("connect",) if baseline == "cli_tool" else ("listen", "connect")
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
        "artifact": {"name": names[baseline], "path": f"/placeholder/{names[baseline]}", "size": 0, "sha256": "0" * 64},
        "format": "elf" if system == "linux" else "mach-o",
        "analysed": True,
        "slices": [piece],
        "verdict": {"level": "ok", "advice": "an example"},
    }
    return msgspec.convert(report, Report)


def examples() -> dict[Path, str]:
    """Path below profiles/rendered -> text."""
    rendered = {}
    for mechanism, baseline, system, arch, suffix in EXAMPLES:
        policy = derive(placeholder(baseline, system, arch), baselines.load(baseline), Request())
        rendered[Path(mechanism) / f"{baseline}.{suffix}"] = render(policy, mechanism).text
    return rendered


if __name__ == "__main__":
    for path, text in examples().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
