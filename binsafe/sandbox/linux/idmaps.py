"""Granted folders of a sandbox that root starts: mounted so that their owner is the program's own user. Runs inside.

The program becomes a user that owns nothing, so a granted folder reaches it through an id-mapped mount (Linux 5.12,
mount_setattr(2)): what the folder's owner owns is the program's there, and what it makes there is the owner's. Nothing
on the disk is changed, as a chown would.
"""

import os
import stat

from binsafe import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from binsafe.sandbox.linux.failing import Plan

_ANYBODY_READS = stat.S_IROTH
_ANYBODY_WRITES = stat.S_IWOTH


def open_trees(plan: "Plan", uid: int) -> dict[str, int]:
    """Path -> detached mount, for each granted path; the caller is root and will be ``uid``.

    Raises:
        OSError: a folder to write in lies on a file system that knows no id-mapped mounts, and is not everybody's.
    """
    trees = {}
    for path, attributes in plan["mounts"]:
        if path.startswith("/dev/"):
            continue
        status = os.stat(path)
        reads_only = bool(attributes & kernel.MOUNT_ATTR_RDONLY)
        trees[path] = kernel.open_tree(path)
        if reads_only and status.st_mode & _ANYBODY_READS:
            continue
        try:
            _map_owner(trees[path], status.st_uid, status.st_gid, uid)
        except OSError:
            if not reads_only and not status.st_mode & _ANYBODY_WRITES:
                raise
    return trees


def _map_owner(tree: int, owner: int, group: int, uid: int) -> None:
    """Show what ``owner`` and ``group`` own as ``uid``'s, below a detached mount."""
    read, write = os.pipe()
    holder = os.fork()
    if holder == 0:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, kernel.SIGKILL)
        kernel.unshare(kernel.CLONE_NEWUSER)
        os.write(write, b".")
        kernel.pause()
        os._exit(0)
    os.close(write)
    try:
        os.read(read, 1)
        for name, inside in (("uid_map", owner), ("gid_map", group)):
            with open(f"/proc/{holder}/{name}", "w", encoding="ascii") as stream:
                stream.write(f"{inside} {uid} 1")
        namespace = os.open(f"/proc/{holder}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        try:
            try:
                kernel.map_ids(tree, namespace, kernel.AT_RECURSIVE)
            except OSError:  # something mounted in the folder knows no such mounts, and stays as it is
                kernel.map_ids(tree, namespace)
        finally:
            os.close(namespace)
    finally:
        os.close(read)
        os.kill(holder, kernel.SIGKILL)
        os.waitpid(holder, 0)
