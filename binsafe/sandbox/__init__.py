"""The only package that starts untrusted processes: policy + inspected bytes -> a running, confined program.

backends  what every mechanism offers; the registry is below
linux/    namespaces + seccomp + Landlock, with a supervisor outside
macos     sandbox-exec
guard     ties a process group to its supervisor on systems that cannot
launching what is checked before anything starts
doctor    what this machine can enforce, found out by doing it
"""

from binsafe.sandbox.backends import Enforcement, Gap, Order, Sandboxed
from binsafe.sandbox.doctor import Diagnosis, diagnose
from binsafe.sandbox.launching import BACKENDS, launch

__all__ = ["BACKENDS", "Diagnosis", "Enforcement", "Gap", "Order", "Sandboxed", "diagnose", "launch"]
