"""Makes profiles/rendered anew: ``python tests/profiles/render_examples.py``. The drift test compares with the same.

The artifact is a stand-in for any plain static Go program: it listens, could connect out, and makes exactly the system
calls of the whole cap, so that each rule the baseline can lead to is there to be reviewed.
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
BASELINE = "flaky_servers"
EXAMPLES = {
    "linux": ("linux", "x86_64", "json"),
    "seccomp": ("linux", "x86_64", "json"),
    "landlock": ("linux", "x86_64", "json"),
    "policy": ("linux", "x86_64", "json"),
    "seatbelt": ("macos", "arm64", "sb"),
}
"""Mechanism -> system, processor and how its files end."""


def placeholder(system: str, arch: str) -> Report:
    """The report of the artifact."""
    known = tables.numbers(arch)
    groups = baselines.load(BASELINE).calls
    calls = sorted({each.object for group in groups for each in group.grants if each.object in known})
    evidence = {"via": "function", "symbol": "net.(*netFD)"}
    operations = [{"name": name, "evidence": [evidence], "evidence_total": 1} for name in ("listen", "connect")]
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
    report = {
        "artifact": {"name": "flakyservers", "path": "/placeholder/flakyservers", "size": 0, "sha256": "0" * 64},
        "format": "elf" if system == "linux" else "mach-o",
        "analysed": True,
        "slices": [piece],
        "verdict": {"level": "ok", "advice": "an example"},
    }
    return msgspec.convert(report, Report)


def examples() -> dict[Path, str]:
    """Path below profiles/rendered -> text."""
    rendered = {}
    for mechanism, (system, arch, suffix) in EXAMPLES.items():
        policy = derive(placeholder(system, arch), baselines.load(BASELINE), Request())
        rendered[Path(mechanism) / f"{BASELINE}.{suffix}"] = render(policy, mechanism).text
    return rendered


if __name__ == "__main__":
    for path, text in examples().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
