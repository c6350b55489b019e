"""Starting early what every start needs, before anything else is loaded: call this first where time counts."""

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from binsafe.sandbox.backends import Prepared


def prepare() -> "Prepared | None":
    """What `Order.prepared` may be given; None where there is nothing to prepare, or it cannot be (`launch` says why).

    Only the thread that prepared it may launch: what was started dies with that thread.
    """
    if sys.platform == "linux":
        from binsafe.sandbox.linux.starting import Stage  # another system's modules stay unloaded

        with contextlib.suppress(OSError):
            return Stage()
    return None


def load() -> None:
    """Import what `launch` will need on this system, for a caller who has time now and none later."""
    if sys.platform == "linux":
        import binsafe.sandbox.linux.backend
        import binsafe.sandbox.linux.confining  # noqa: F401 - loaded for later
