"""Report + baseline + request -> policy, and a policy back from its file. Pure.

    objects     what a grant of each kind may name
    constants   kernel constants by name and header
    conditions  tests on the arguments of system calls, as text and as data
    walls       system calls that nobody can be granted, and why
    baseline    the cap: what a kind of program may have at most        parsing   YAML -> Baseline
    ports       ``--ports``                                             request   what the command line grants by name
    deriving    report + baseline + request -> Policy                   denials   what the program could do and may not
    calls       its system calls, as narrow as is known                 libraries its loader and libraries
    runtimes    programs that make code while they run
    reading     policy file -> Policy                                   proposals what was denied -> the grants for it
    jsonnodes yamlnodes    texts with the place of each value, for messages

Names are loaded on first use: the way from a policy file to a running program needs `reading`, and nothing of the way
from a report to a policy. `parsing` is not among them: it needs YAML.
"""

from typing import TYPE_CHECKING

from binsafe.lazy import lazily

if TYPE_CHECKING:
    from binsafe.policy.baseline import Baseline, CallGroup, PortLayout
    from binsafe.policy.deriving import default_baseline, derive
    from binsafe.policy.ports import parse_ports
    from binsafe.policy.reading import read_policy
    from binsafe.policy.request import Request

_HOMES = {
    "Baseline": "baseline",
    "CallGroup": "baseline",
    "PortLayout": "baseline",
    "Request": "request",
    "default_baseline": "deriving",
    "derive": "deriving",
    "parse_ports": "ports",
    "read_policy": "reading",
}

__all__ = [
    "Baseline",
    "CallGroup",
    "PortLayout",
    "Request",
    "default_baseline",
    "derive",
    "parse_ports",
    "read_policy",
]

__getattr__ = lazily(__name__, _HOMES)
