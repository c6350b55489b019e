"""What stands in for files in /etc and /proc that libraries read; of this machine they tell the time zone alone."""

import os
from collections.abc import Mapping
from typing import Final

from binsafe.model import Policy

_STAND_INS: Final[Mapping[str, str]] = {
    "/etc/group": "root:x:0:\nuser:x:1000:\nnogroup:x:65534:\nwww-data:x:33:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n",
    "/etc/host.conf": "multi on\n",
}
_USERS: Final = (
    "root:x:0:0:root:/:/bin/false\nuser:x:1000:1000:user:{}:/bin/false\n"
    "nobody:x:65534:65534:nobody:/:/bin/false\nwww-data:x:33:33:www-data:/:/bin/false\n"
)
"""/etc/passwd (passwd(5)): who the program is has the home that it was given, as some ask no variable (qalc)."""
_LOCAL_HOSTS: Final = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"
_OWN_HOST: Final = "127.0.1.1 sandbox\n"
_LOCALTIME: Final = "/etc/localtime"
CHARACTER_SETS: Final = tuple(
    f"/usr/{folder}/gconv/gconv-modules.cache" for folder in ("lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "lib64")
)
"""Which module knows a set: without, iconv_open(3) asks for none of them, and nobody learns which pack is missed."""
COPIED: Final = (_LOCALTIME, *CHARACTER_SETS)
"""Of these the content is this machine's own."""
_INTERFACES: Final = ("/proc/net/if_inet6", b"00000000000000000000000000000001 01 80 10 80       lo\n")
"""Java binds no IPv6 address where this list (proc(5)) is empty: loopback, which is all that can be bound here."""

_PROCESSORS: Final[Mapping[str, tuple[str, str]]] = {
    "/proc/stat": ("cpu  0 0 0 0 0 0 0 0 0 0\n", "cpu{} 0 0 0 0 0 0 0 0 0 0\n"),
    "/proc/cpuinfo": ("", "processor\t: {}\n\n"),
}
"""How many processors there are, as sched_getaffinity(2) says, and no more: Node and libgc count these lines."""


def processors() -> dict[str, bytes]:
    """Path -> content of what says how many processors there are."""
    count = len(os.sched_getaffinity(0))
    return {
        path: (head + "".join(map(line.format, range(count)))).encode() for path, (head, line) in _PROCESSORS.items()
    }


def texts(policy: Policy, hosts: str) -> dict[str, bytes]:
    """Path -> content of what C libraries read. ``hosts`` are lines for /etc/hosts."""
    found = {path: text.encode() for path, text in _STAND_INS.items()}
    homes = [grant.access for grant in policy.of("environment") if grant.object == "HOME"]
    home = homes[-1] if homes and not {":", "\n"}.intersection(homes[-1]) else "/"
    found["/etc/passwd"] = os.fsencode(_USERS.format(home))
    found["/etc/hosts"] = (hosts + ("" if " localhost\n" in hosts else _LOCAL_HOSTS) + _OWN_HOST).encode()
    if any(policy.of("listen")):
        found[_INTERFACES[0]] = _INTERFACES[1]
    for path in COPIED:
        if os.path.isfile(path):
            with open(path, "rb") as stream:
                found[path] = stream.read()
    return found
