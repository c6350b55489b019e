"""Report + baseline + request -> policy, and a policy back from its file. Pure.

    objects     what a grant of each kind may name
    constants   kernel constants by name and header
    conditions  tests on the arguments of system calls, as text and as data
    walls       system calls that nobody can be granted, and why
    baseline    the cap: what a kind of program may have at most        parsing   YAML -> Baseline
    ports       ``--ports``                                             request   what the command line grants by name
    derive      report + baseline + request -> Policy                   denials   what the program could do and may not
    calls       its system calls, as narrow as is known                 libraries its loader and libraries
    runtimes    programs that make code while they run
    reading     policy file -> Policy                                   combining two policies -> one

`parsing` is not imported here: it needs YAML, and the way from a policy file to a running program does not.
"""

from binsafe.policy.baseline import Baseline, CallGroup, PortLayout
from binsafe.policy.combining import merge, tighten
from binsafe.policy.derive import default_baseline, derive
from binsafe.policy.ports import parse_ports
from binsafe.policy.reading import read_policy
from binsafe.policy.request import Request

__all__ = [
    "Baseline",
    "CallGroup",
    "PortLayout",
    "Request",
    "default_baseline",
    "derive",
    "merge",
    "parse_ports",
    "read_policy",
    "tighten",
]
