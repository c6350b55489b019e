"""Numbers in an object on a caller's stack that all threads make a call of, as glibc's ``setuid`` does it."""

import subprocess
from pathlib import Path

import pytest
from compiled import calls, freestanding, needs_compiler

pytestmark = needs_compiler

_SETXID = """
struct command { int number; long id[3]; int left, error; };
volatile long in_front = 1;  // the program's headers name what is first in memory
static struct command kept = {117};
static struct command *volatile current INITIALLY;
static struct command *volatile spare;
OUTLINE static long on_each(int signal, int *information) {
    if (signal != SIGNAL || information[2] != -6) return 0;
    struct command *command = CURRENT;
    return call(command->number, command->id[0], command->id[1], command->id[2]);
}
static int information[4];
OUTLINE static long on_all(struct command *command) {
    current = command;
    command->left = 1;
    WRITTEN;
    on_each(33, information);
    long result = call(command->number, command->id[0], command->id[1], command->id[2]);
    current = 0;
    return result;
}
OUTLINE static long one(int id) { struct command command = {NUMBER, {id, id, id}, 0, 0}; return on_all(OBJECT); }
OUTLINE static long other(int id) { struct command command = {114, {id, id, 0}, 0, 0}; return on_all(&command); }
OUTLINE static long run(long id) { MORE; return one(id) + other(id); }
"""


PLAIN = {
    "NUMBER": "117",
    "OBJECT": "&command",
    "MORE": "",
    "INITIALLY": "",
    "CURRENT": "current",
    "SIGNAL": "33",
    "WRITTEN": "",
}

ADDED = 'asm volatile("mov $3,%%eax; add (%0),%%eax; syscall" :: "r"(command) : "rax", "rcx", "r11", "memory")'


CHOSEN = """({ struct command *chosen = spare; switch (information[1]) {
    case 0: return call(102, 0, 0, 0); case 1: return call(104, 0, 0, 0); case 2: return call(107, 0, 0, 0);
    case 3: return call(108, 0, 0, 0); case 4: return call(110, 0, 0, 0); case 5: break;
    default: chosen = current; } chosen; })"""
"""A jump table leads to where the number is read, too: with another object."""


def source(**changes: str) -> str:
    text = _SETXID
    for word, plain in PLAIN.items():
        text = text.replace(word, changes.get(word.lower(), plain))
    return text


@pytest.mark.parametrize(
    "options", [(), ("-O1",), ("-no-pie", "-fno-pie"), ("-O3", "-msse4"), ("-fno-omit-frame-pointer",)], ids="".join
)
def test_what_changes_identity_on_all_threads(tmp_path: Path, options: tuple[str, ...]):
    found = freestanding(tmp_path, source(), *options)
    assert {"setresuid", "setregid"} <= set(found.required)
    assert found.complete


@pytest.mark.parametrize(
    "text",
    [
        source(number="167"),
        source(number="id"),
        source(object="&kept"),
        source(initially="= &kept"),
        source(current="in_front ? current : spare"),
        source(current="in_front ? spare : current"),
        source(current=CHOSEN),
        source(more="current = &kept"),
        source(more="static long (*volatile all)(struct command *) = on_all; all(&kept)"),
        source(more='asm volatile("" :: "r"(&current) : "memory")'),
        source(signal="34"),
        source(written=ADDED),
    ],
    ids=[
        "swapon",
        "unknown",
        "kept object",
        "object at first",
        "two variables",
        "two others",
        "one of them by a jump table",
        "another writer",
        "taken",
        "variable taken",
        "handler of another signal",
        "number that is added to",
    ],
)
def test_what_is_no_such_call_or_not_known_is_reported(tmp_path: Path, text: str):
    found = freestanding(tmp_path, text)
    assert not found.complete
    assert any(reason in found.unresolved[0].reason for reason in ("read from memory", "computed by add"))


@pytest.mark.parametrize("options", [("-static",), ("-static-pie",), ("-static", "-O0")], ids="".join)
def test_glibc_itself(tmp_path: Path, options: tuple[str, ...]):
    text = "#include <unistd.h>\nint main(int n, char **v) { return setregid(n, n) || setreuid(n, n); }"
    command = ["gcc", "-D_GNU_SOURCE", "-O2", *options, "-s", "-x", "c", "-", "-o", str(tmp_path / "program")]
    subprocess.run(command, input=text, text=True, check=True)
    found = calls(tmp_path / "program")
    assert {"setregid", "setreuid"} <= set(found.required)
    assert not {"setuid", "setresuid"} & set(found.required)
    assert found.complete
