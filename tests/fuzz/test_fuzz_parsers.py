"""The long fuzzing job, for as many seconds as BINSAFE_FUZZ_SECONDS says (20) for each target: ``pytest -m fuzz``."""

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SECONDS = int(os.environ.get("BINSAFE_FUZZ_SECONDS", "20"))
PROGRAM = Path(__file__).with_name("fuzz_parsers.py")
SLOWEST, MEGABYTES, LARGEST = 10, 1024, 64 * 1024

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(SECONDS + 600)]


def seeds(standin: Callable[[str], Path]) -> dict[str, list[bytes]]:
    """A first example of each thing, so that the fuzzer need not find the magic numbers."""
    superblob = struct.pack(">III", 0xFADE0CC0, 20, 1) + struct.pack(">II", 2, 20)
    requirement = struct.pack(">IIIII", 0xFADE0C01, 36, 1, 3, 20) + struct.pack(">IIII", 0xFADE0C00, 16, 1, 3)
    heads = [standin(target).read_bytes()[:LARGEST] for target in ("darwin/arm64", "linux/amd64", "windows/amd64")]
    plist = b'<?xml version="1.0"?><plist version="1.0"><dict><key>files2</key><dict/></dict></plist>'
    return {
        "image": heads,
        "signature": [superblob, heads[2]],
        "structures": [
            bytes([0]) + superblob,
            bytes([1]) + requirement,
            b"\2\x30\x80\6\x09\x2a\x86\x48\x86\xf7\x0d\1\7\2",
        ],
        "seals": [plist],
    }


@pytest.mark.parametrize("target", ["image", "signature", "structures", "seals"])
def test_no_bytes_break_a_parser(target: str, tmp_path: Path, standin: Callable[[str], Path]):
    pytest.importorskip("atheris", reason="atheris is not installed: pip install '.[dev,heavy]' on Linux")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds(standin)[target]):
        (corpus / str(number)).write_bytes(seed)
    command = [sys.executable, PROGRAM, target, corpus, f"-max_total_time={SECONDS}", f"-timeout={SLOWEST}"]
    command += [f"-rss_limit_mb={MEGABYTES}", f"-max_len={LARGEST}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
