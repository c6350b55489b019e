"""Language runtimes start at the first try with their pack, and are given nothing that is not in it."""

import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from binsafe import packs
from binsafe.cli.asked import Asked
from binsafe.cli.deriving import derive_policy
from binsafe.intake import Found, Snapshot, inspect
from binsafe.sandbox import Order, launch

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]

GCONV = [*map(str, Path("/usr/lib").glob("*/gconv/CP1252.so"))]
PYTHON = """
import asyncio
import ssl  # a module with libraries of its own

async def answer(reader, writer):
    await reader.readline()
    writer.write(b"HTTP/1.0 200 OK\\r\\n\\r\\nhello")
    await writer.drain()
    writer.close()

async def main():
    async with await asyncio.start_server(answer, None, PORT) as server:
        await server.serve_forever()

asyncio.run(main())
"""
NODE = "require('http').createServer((request, answer) => answer.end('hello')).listen(PORT)"
SERVERS = {"/usr/bin/python3": ("server.py", PYTHON), "/usr/bin/node": ("server.js", NODE)}


def test_every_shipped_pack_is_read():
    shipped = packs.available()
    assert {"python", "node", "nginx", "java", "perl", "locale", "gconv", "terminfo", "zoneinfo"} <= set(shipped)
    assert all(pack.schema == packs.PACK_SCHEMA and pack.name == name for name, pack in shipped.items())


def test_a_link_beside_a_program_that_bears_a_runtimes_name_leads_to_nothing(tmp_path: Path):
    for folder in ("secret", "there/bin", "there/lib/python3.12", "there/home/lib/python3"):
        (tmp_path / folder).mkdir(parents=True)
    there = tmp_path.resolve() / "there"
    (there / "lib/python3.11").symlink_to(tmp_path / "secret")
    (there / "lib/python3").symlink_to("python3.12")
    pack = msgspec.structs.replace(packs.available()["python"], modules=("{prefix}/lib/python3*/",), files=())
    given = [grant.object for grant in packs.grants([pack], f"{there}/bin/python3") if grant.kind == "read"]
    assert given == [f"{there}/lib/python3.12", f"{there}/lib/python3"]
    assert not [grant for grant in packs.grants([pack], f"{there}/home/python3") if grant.kind == "read"]
    assert not [grant for grant in packs.grants([pack], f"{there}/home/Downloads/python3") if grant.kind == "read"]


@pytest.mark.parametrize("program", SERVERS)
def test_a_dual_stack_server_of_a_runtime_answers(program: str, tmp_path: Path, free_port: Callable):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    name, source = SERVERS[program]
    port = free_port()
    script = tmp_path / name
    script.write_text(source.replace("PORT", str(port)))
    with Snapshot.take(Found(program, Path(program).resolve())) as snapshot:
        report = inspect(snapshot, syscalls=False)  # what is assumed of a program that cannot be seen through
        policy = derive_policy(report, asked(baseline="network_server", ports=(f":{port}",), read=(str(script),)))
        order = Order(
            policy=policy,
            program=snapshot.descriptor,
            path=snapshot.artifact.path,
            arguments=[str(script)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            on_violation=print,
        )
        process = launch(order)
    try:
        assert _get(port) == b"hello"
    finally:
        process.stop()


@pytest.mark.skipif(not GCONV, reason="no modules of gconv")
@pytest.mark.parametrize("read", [(), ("--read", *GCONV[:1])])
def test_a_module_that_is_granted_to_be_read_as_well_can_still_be_loaded(read: tuple[str, ...]):
    """Both are offered where it is missed: the file, and the pack that has what it is linked with."""
    words = [*read, "--pack", "gconv", "iconv", "-f", "CP1252", "-t", "UTF-8"]
    done = subprocess.run(
        [sys.executable, "-m", "binsafe", "run", *words], input=b"\x80", capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"\xe2\x82\xac"), done.stderr


@pytest.mark.skipif(shutil.which("file") is None, reason="file is not installed")
def test_a_program_that_may_be_started_brings_what_its_packs_let_it_read():
    """file came without its table of magic, git without its templates."""
    command = [sys.executable, "-m", "binsafe", "run", "--exec", shutil.which("file"), "sh", "-c", "file -b /dev/null"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.startswith("character special")
    assert "magic" not in done.stderr


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_a_static_program_starts_a_dynamic_one_that_has_plugins(tmp_path: Path):
    """Plugins need the loader as a library; it was not executed any more for ls, whose package has one."""
    listing = shutil.which("ls")
    source = f'#include <unistd.h>\nint main(void) {{ execl("{listing}", "ls", "/", (char *)0); return 9; }}'
    program = str(tmp_path / "program")
    subprocess.run(["gcc", "-static", "-x", "c", "-", "-o", program], input=source, text=True, check=True)
    command = [sys.executable, "-m", "binsafe", "run", "--exec", str(listing), program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode in {0, 2}, done.stderr  # 2 where the folder is not granted


def test_of_the_packs_of_such_a_program_nothing_but_files_is_given(tmp_path: Path):
    """Its variables and what lets it make code are the user's to grant: the one that was named has them as well."""
    with Snapshot.take(Found("sh", Path("/bin/sh").resolve())) as snapshot:
        report = inspect(snapshot, syscalls=False)
    julia = shutil.copy("/bin/true", str(tmp_path / "julia"))
    alone, beside = (derive_policy(report, asked(exec=others)) for others in ((), (sys.executable, julia)))
    for kind in ("environment", "write", "connect", "listen"):
        assert [*beside.of(kind)] == [*alone.of(kind)]
    before, now = ([one for one in each.of("syscall") if one.object == "mprotect"] for each in (alone, beside))
    assert now == before


@pytest.mark.parametrize("name", ["x86_64-linux-gnu-gcc-12", "gcc", "g++", "clang", "clang-18"])
def test_a_compiler_is_known_by_the_name_that_its_links_lead_to(name: str, tmp_path: Path):
    program = Path(shutil.copy("/bin/true", tmp_path / name))
    with Snapshot.take(Found(name, program)) as snapshot:
        assert "c" in [pack.name for pack in packs.choose(inspect(snapshot, syscalls=False))]


@pytest.mark.programs
@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_a_compiler_needs_no_grant_but_for_what_it_starts(tmp_path: Path):
    """Each header, start file and library was denied after the one before: eight rounds."""
    main = tmp_path / "main.c"
    main.write_text('#include <stdio.h>\nint main(void) { return puts("made") < 0; }\n')
    asked_for = [
        subprocess.check_output(["gcc", f"-print-prog-name={name}"], text=True) for name in ("cc1", "as", "ld")
    ]
    granted = [word for name in asked_for for word in ("--exec", name.strip())]
    command = [sys.executable, "-m", "binsafe", "run", "--write", tmp_path, *granted, "gcc", "-o", tmp_path / "a", main]
    subprocess.run(command, check=True, timeout=100)
    assert subprocess.check_output([tmp_path / "a"]) == b"made\n"


def asked(**given: object) -> Asked:
    return Asked(**({"ports": (), "baseline": None, "read": (), "write": (), "connect": (), "exec": ()} | given))


def _get(port: int) -> bytes:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                return answer.read()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
