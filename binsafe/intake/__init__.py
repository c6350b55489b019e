"""From what the user typed to bytes that cannot change any more, and from those to a report.

A file is opened once, without following a link at its end; its bytes are copied while they are hashed, into memory that
is sealed (Linux) or a private file without a name (elsewhere). That copy is inspected and that copy runs: what happens
to the path afterwards changes nothing. Parsing happens in a child process with limits (``worker_process``), so a parser
that crashes on a hostile file is a finding, not our crash.

The bytes::

    finding         a name -> the file that it means
    snapshot        the file -> a sealed copy (private) with its hash (copying); attributes, what stands beside it
    folder          a bundle's files, read by descriptor
    walking         the files in a folder that a program may have filled, for who grants it
    saved           a report that was saved as JSON

Parsing, from the outside in::

    inspecting      what callers call
    workers         our end: starts a worker (forking), asks it, replaces one that breaks; answers, what it believes
    messages        what goes between the processes
    worker_process  that process: takes orders, and gives each file to a child
    child           the child: loading, what it loads first; confining, what it gives up then (trial, for the doctor);
                    bounds, how much it may take
    parsing         what the child does: order and bytes -> answer

The libraries of a dynamic program::

    tree loaders libraries    names, in a tree of files -> as which program loader looks for them -> the files
    modules                   folders with what a program loads by names that its settings tell
    asking librarian          what the child asks, and who answers
    summaries summarising     what is known of a library, by its hash; made by children (owners: which may share one)

What is kept from one command to the next::

    store               bytes, in the user's cache
    cached_programs     what was found out about a program, and its answers
    cached_answers      an answer, and whether it still holds

Names are loaded on first use: to run a file under a policy that is there already, only `finding` and `snapshot` are.
"""

from typing import TYPE_CHECKING

from binsafe.lazy import lazily

if TYPE_CHECKING:
    from binsafe.intake.finding import Found, find
    from binsafe.intake.inspecting import inspect, inspect_folder, not_analysed, system_calls
    from binsafe.intake.saved import is_saved, read_saved
    from binsafe.intake.snapshot import Snapshot
    from binsafe.intake.workers import Worker

_HOMES = {
    "Found": "finding",
    "Snapshot": "snapshot",
    "Worker": "workers",
    "find": "finding",
    "inspect": "inspecting",
    "inspect_folder": "inspecting",
    "is_saved": "saved",
    "not_analysed": "inspecting",
    "read_saved": "saved",
    "system_calls": "inspecting",
}

__all__ = [
    "Found",
    "Snapshot",
    "Worker",
    "find",
    "inspect",
    "inspect_folder",
    "is_saved",
    "not_analysed",
    "read_saved",
    "system_calls",
]

__getattr__ = lazily(__name__, _HOMES)
