"""The file system inside: an empty root with private copies, granted mounts and scratch. Runs inside (see ``stage``).

What goes where is in the plan (``layout`` makes it); here it is only carried out.
"""

import errno
import os
import stat

from binsafe import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from binsafe.sandbox.linux.failing import Plan

_FLAGS = kernel.MS_NOSUID | kernel.MS_NODEV
MOST_FILES = 65536
_OPTIONS = f"mode=0755,nr_inodes={MOST_FILES}"
_LARGE_PAGES = "huge=within_size"
"""tmpfs(5). A program of 10 MB is copied in a third of the time, and is let go of in less."""


def build_root(plan: "Plan", opened: dict[str, int]) -> None:
    """Make the root and enter it.

    ``opened`` are mounts that root took beforehand. Detached copies of the other granted ones are taken first, while
    their paths can still be seen. Where a folder covers a private copy, the copy is mounted over what is there: it can
    be executed and not changed, which is the other way round with all else in such a folder.
    """
    kernel.mount("", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    trees = [
        (path, attributes, opened[path] if path in opened else kernel.open_tree(path))
        for path, attributes in plan["mounts"]
    ]
    root = next(folder for folder in ("/tmp", "/mnt", "/run", "/dev") if os.path.isdir(folder))  # noqa: S108 - to mount over
    mount_root(root)
    os.chdir(root)
    for path in plan["folders"]:
        os.makedirs(f".{path}", 0o755, exist_ok=True)
    link(plan["links"])
    for path, descriptor, offset, size, mode in plan["pieces"]:
        unpack(path, descriptor, offset, size, mode)
    copies = [(path, kernel.open_tree(f".{path}")) for path in plan["covered"]]
    for path, size in plan["scratch"]:
        os.makedirs(f".{path}", 0o755, exist_ok=True)
        options = f"mode=0700,size={size},nr_inodes={MOST_FILES}"
        kernel.mount("scratch", f".{path}", "tmpfs", _FLAGS | kernel.MS_NOEXEC, options)
    link(plan["links"])  # those that lie in what was mounted
    for path, attributes, tree in trees:
        place(tree, path, attributes | kernel.MOUNT_ATTR_NOSUID)
    for path in plan["pins"]:
        place(kernel.open_tree(f".{path}"), path, 0)
    for path, tree in copies:
        place(tree, path, kernel.MOUNT_ATTR_RDONLY | kernel.MOUNT_ATTR_NODEV | kernel.MOUNT_ATTR_NOSUID)
    for path in plan["ways"]:
        os.chmod(f".{path}", 0o500)
    kernel.pivot_root_here()
    kernel.mount("", "/", "", kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | _FLAGS)


def mount_root(folder: str) -> None:
    """An empty file system in memory, of large pages where the kernel has them."""
    try:
        kernel.mount("root", folder, "tmpfs", _FLAGS, f"{_OPTIONS},{_LARGE_PAGES}")
    except OSError:
        kernel.mount("root", folder, "tmpfs", _FLAGS, _OPTIONS)


def link(links: "Iterable[tuple[str, str]]") -> None:
    """Make those that are not there yet."""
    for path, target in links:
        if not os.path.lexists(f".{path}"):
            make_parent(path)
            os.symlink(target, f".{path}")


def make_parent(path: str) -> None:
    """The folders above a path, inside."""
    os.makedirs(os.path.dirname(f".{path}"), 0o755, exist_ok=True)


def unpack(path: str, descriptor: int, offset: int, size: int, mode: int) -> None:
    """Write a private copy, from the very descriptor whose bytes were inspected."""
    make_parent(path)
    target = os.open(f".{path}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    done = 0  # and not sized beforehand: the kernel would clear large pages that are then written
    while done < size:
        copied = os.sendfile(target, descriptor, offset + done, size - done)
        if copied == 0:
            raise OSError(errno.EIO, "the bytes ended early", path)
        done += copied
    os.close(target)


def place(tree: int, path: str, attributes: int) -> None:
    """Put a detached mount at the same path below the current folder, on a file or a folder as the original is."""
    target = f".{path}"
    if stat.S_ISDIR(os.fstat(tree).st_mode):
        os.makedirs(target, 0o755, exist_ok=True)
    elif not os.path.lexists(target):
        make_parent(path)
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
    kernel.move_mount(tree, target)
    os.close(tree)
    kernel.mount_setattr(target, attributes)
