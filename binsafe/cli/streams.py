"""Standard streams that are there, whatever the caller left open."""

import os


def open_standard_streams() -> None:
    """Stand in for descriptors 0 to 2 that the caller closed, so that no file of ours becomes one of them."""
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > 2:  # noqa: PLR2004 - the last standard stream
            os.close(descriptor)
            return
        os.set_inheritable(descriptor, True)
