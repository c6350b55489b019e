"""The start of a program, where every millisecond counts: nothing that is imported here imports click.

The sandbox's own interpreter starts, and the program is copied, while what runs it is loaded.
"""

from typing import TYPE_CHECKING

from binsafe.cli import light
from binsafe.cli.background import in_background

if TYPE_CHECKING:
    from binsafe.cli.plain import Options


def start(options: "Options") -> int:
    """Run a program as the options ask; returns the status that the process is to end with."""
    from binsafe.sandbox import preparing

    light.load_processes()
    prepared = preparing.prepare()  # first: the sandbox's interpreter starts meanwhile
    try:
        light.load_structs()
        from binsafe.cli.taking import take

        taken = in_background(lambda: take(options["file"]))
        from binsafe.cli.running import run

        preparing.load()
        return run(prepared, taken, **options)
    finally:
        if prepared is not None:
            prepared.close()
