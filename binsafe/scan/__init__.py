"""Many files -> a line of JSON for each executable or archive among them, as soon as it is done.

    walking     folders -> targets: what the first bytes say is worth opening
    examining   one target -> one outcome; runs wherever an executor runs it
    running     targets through an executor, never more on their way than it needs
    saving      the lines in a file, and which of them are there already
    overview    what a person wants to see at the end: counts, a page

A file is opened, copied and hashed in a thread; the parsing goes on in a child process that stays (see
:mod:`binsafe.intake.workers`), one for each thread. So the executor may be a pool of threads here or a Dask cluster's:
both have the interface of :class:`concurrent.futures.Executor`.
"""

from binsafe.scan.examining import Options, Outcome, examine
from binsafe.scan.running import scan
from binsafe.scan.walking import Coverage, Skipped, Target, walk

__all__ = ["Coverage", "Options", "Outcome", "Skipped", "Target", "examine", "scan", "walk"]
