"""Going through a folder that a program may have filled, however deep it has made that."""

import errno
import os
from collections.abc import Iterator

from binsafe.errors import NotEnforceable
from binsafe.limits import MAX_FOLDERS_DEEP


def files_below(path: str) -> Iterator[str]:
    """All that lies in a folder, but for folders; links are not followed, and what may not be opened is left out.

    Raises:
        NotEnforceable: something lies deeper than `MAX_FOLDERS_DEEP`, or than any path leads.
    """
    deepest = path.count("/") + MAX_FOLDERS_DEEP
    waiting = [path]
    while waiting:  # os.walk and pathlib call themselves for each folder in another, until Python ends that
        folder = waiting.pop()
        try:
            if folder.count("/") > deepest:
                raise OSError(errno.ENAMETOOLONG, "deeper than anybody makes them")
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        yield entry.path
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise NotEnforceable(
                    f"{path} is granted, and holds folders in folders so deep that they cannot be looked through",
                    hint="take those away (rm -r), or grant less",
                ) from error
