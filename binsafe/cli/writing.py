"""Where a command's result goes: standard output, or a file that is there whole or not at all."""

import contextlib
import os
import sys
from pathlib import Path


def write(text: str, output: Path | None) -> None:
    """Print ``text``, or put it into a file in one step.

    Raises:
        UsageError: nothing can be written there.
    """
    if output is None:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        sys.stdout.flush()
        return
    from binsafe.errors import UsageError

    try:
        if output.exists() and not output.is_file():  # /dev/stdout, a pipe: nothing to put in its place
            output.write_text(text, encoding="utf-8")
        else:
            _replace(output.resolve(), text)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(
            f"cannot write {output}: {reason}", hint="name a file in a folder that exists and that you may write to"
        ) from error


def _replace(path: Path, text: str) -> None:
    """Write beside the file, then rename: readers see the old text or the new one."""
    import tempfile  # it loads compressors

    descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:50]}.", dir=path.parent)
    try:
        with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor
            stream.write(text)
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~mask)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
