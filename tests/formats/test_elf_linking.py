"""The dynamic symbols of a program: none that is bound may be missed, whatever the hash tables say of them."""

import struct
import subprocess
from pathlib import Path

import pytest

from binsafe import formats

NETWORK = """
#include <sys/socket.h>
#include <unistd.h>
int main(int count, char **words) {
    connect(socket(AF_INET, SOCK_STREAM, 0), (void *)words, 16);
    return execv(words[count], words);
}
"""
NEEDED = {"socket", "connect", "execv"}
STYLES = ("gnu", "sysv", "both")


@pytest.fixture(params=[(style, pie) for style in STYLES for pie in ("-pie", "-no-pie")], ids="".join)
def program(request: pytest.FixtureRequest, tmp_path: Path) -> bytes:
    style, pie = request.param
    (tmp_path / "main.c").write_text(NETWORK)
    pic = ["-fPIE"] if pie == "-pie" else ["-fno-pie"]
    command = ["cc", "-O1", *pic, pie, f"-Wl,--hash-style={style}", "-o", tmp_path / "main", tmp_path / "main.c"]
    subprocess.run(command, check=True)
    return (tmp_path / "main").read_bytes()


def imported(data: bytes) -> set[str]:
    (part,) = formats.parse(memoryview(data)).slices
    return {entry.name for entry in part.imports}


def test_a_program_that_defines_nothing_still_names_what_it_imports(program: bytes):
    """GNU's hash table counts defined symbols only, and a program at a fixed address has none."""
    assert imported(program) >= NEEDED


def test_a_hash_table_that_says_that_there_is_nothing_hides_nothing(program: bytes):
    """The loader binds by the numbers in the relocations, and asks no hash table how many symbols there are."""
    hidden = bytearray(program)
    for place in hash_tables(program).values():
        struct.pack_into("<II", hidden, place, 1, 1)
        hidden[place + 16 : place + 28] = bytes(12)
    assert hash_tables(program)
    assert imported(bytes(hidden)) >= NEEDED


def test_a_plain_hash_table_that_lies_hides_no_function_that_gnus_leads_to(tmp_path: Path):
    """Loaders look names up in GNU's table where both are there."""
    (tmp_path / "main.c").write_text("int getrandom(void) { return 4; }")
    command = ["cc", "-shared", "-s", "-nostdlib", "-Wl,--hash-style=both", "-o", tmp_path / "lib", tmp_path / "main.c"]
    subprocess.run(command, check=True)
    data = bytearray((tmp_path / "lib").read_bytes())
    struct.pack_into("<I", data, hash_tables(data)[4] + 4, 1)  # entries
    (part,) = formats.parse(memoryview(bytes(data))).slices
    assert "getrandom" in {symbol.name for symbol in part.symbols}


def hash_tables(data: bytes) -> dict[int, int]:
    """Where ``DT_HASH`` (4) and ``DT_GNU_HASH`` stand in the file."""
    (at,), (count,) = struct.unpack_from("<Q", data, 32), struct.unpack_from("<H", data, 56)
    headers = [struct.unpack_from("<IIQQQQ", data, at + 56 * number) for number in range(count)]
    start, size = next((offset, length) for kind, _, offset, _, _, length in headers if kind == 2)
    base = min(address for kind, _, _, address, _, _ in headers if kind == 1)
    entries = struct.iter_unpack("<QQ", data[start : start + size])
    return {tag: address - base for tag, address in entries if tag in {4, 0x6FFFFEF5}}
