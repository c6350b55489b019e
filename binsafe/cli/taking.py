"""The bytes that are to run."""

import errno

from binsafe.cli.entry import note
from binsafe.errors import NotAnalysable, NotEnforceable, NotExecutable
from binsafe.intake import Snapshot, find


def take(file: str) -> Snapshot:
    """A copy of what a name on the command line means.

    Raises:
        NotExecutable: it is no file of bytes, which is 126 as in a shell: status 3 is the program's to use.
        NotEnforceable: there is no memory for it that nobody else can change.
    """
    try:
        return Snapshot.take(find(file, progress=note))
    except NotAnalysable as error:
        raise NotExecutable(str(error), hint=error.hint) from error
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM) or error.filename is not None:
            raise
        hint = "use a kernel with memfd_create(2); in a container: a profile that allows it"
        raise NotEnforceable("what runs is copied to a file in memory, and there are none here", hint=hint) from error
