"""What this machine can enforce: each backend is tried out, not looked up."""

import sys
from typing import Final

import msgspec

from binsafe.intake.trial import try_out
from binsafe.model import Gap
from binsafe.sandbox.backends import Enforcement
from binsafe.sandbox.launching import BACKENDS

DOCTOR_SCHEMA: Final = "binsafe.doctor/1"


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """One backend and what it holds here."""

    name: str
    enforcement: str
    gaps: tuple[Gap, ...]


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """``binsafe.doctor/1``; ``default`` is None where nothing may be started.

    ``parsing`` is what confines the processes that parse files (`binsafe.intake.confining`).
    """

    schema: str = DOCTOR_SCHEMA
    backends: tuple[Examined, ...]
    default: str | None
    parsing: Examined


def diagnose() -> Diagnosis:
    """Try every backend on this machine, and the confinement of parsers."""
    examined = []
    for name, (system, make) in BACKENDS.items():
        if system == sys.platform:
            found = make().probe()
        else:
            found = Enforcement(level="none", gaps=(Gap(id="system", reason=f"for {system}; this is {sys.platform}"),))
        examined.append(Examined(name=name, enforcement=found.level, gaps=found.gaps))
    default = next((backend.name for backend in examined if backend.enforcement != "none"), None)
    level, gaps = try_out()
    parsing = Examined(name="parsing", enforcement=level, gaps=gaps)
    return Diagnosis(backends=tuple(examined), default=default, parsing=parsing)
