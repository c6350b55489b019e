"""The bytes that are to run."""

from binsafe.cli.entry import note
from binsafe.errors import NotAnalysable, NotExecutable
from binsafe.intake import Snapshot, find


def take(file: str) -> Snapshot:
    """A copy of what a name on the command line means.

    Raises:
        NotExecutable: it is no file of bytes, which is 126 as in a shell: status 3 is the program's to use.
    """
    try:
        return Snapshot.take(find(file, progress=note))
    except NotAnalysable as error:
        raise NotExecutable(str(error), hint=error.hint) from error
