import gzip
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "containers"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Programs, archives and what is neither, with links out of the folder and into itself."""
    from packed import tarred, zipped
    from scanned import BROKEN, elf

    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin/tool").write_bytes(elf(1))
    (tree / "bin/same").write_bytes(elf(1))
    os.link(tree / "bin/tool", tree / "bin/linked")
    (tree / "broken").write_bytes(BROKEN)
    (tree / "text").write_text("hello")
    (tree / "script").write_text("#!/bin/sh\n")
    (tree / "pack.whl").write_bytes(zipped({"a/tool": elf(2)}))
    (tree / "texts.zip").write_bytes(zipped({"a": b"hello"}))
    (tree / "man.1.gz").write_bytes(gzip.compress(b"hello" * 300))
    (tree / "pack.tgz").write_bytes(tarred({"tool": elf(3)}))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(elf(9))
    (tree / "out").symlink_to(outside)
    (tree / "loop").symlink_to(tree)
    (tree / "file-out").symlink_to(outside / "secret")
    os.mkfifo(tree / "fifo")
    return tree
