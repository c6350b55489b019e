"""Numbers that are put into an object for a function that is passed on with it, as musl's ``setuid`` does it."""

import shutil
import subprocess
from pathlib import Path

import pytest
from compiled import calls, freestanding, needs_compiler

pytestmark = needs_compiler

_SETXID = """
struct object { int id, eid, sid, number, result; };
OUTLINE static void on_each(void *p) {
    struct object *o = p;
    if (o->result >= 0) o->result = call(o->number, o->id, o->eid, o->sid);
}
OUTLINE static void on_all(void (*f)(void *), void *p) { f(p); }
OUTLINE static long change(int number, int id, int eid, int sid) {
    struct object o = {id, eid, sid, number, 1};
    on_all(on_each, &o);
    return o.result;
}
OUTLINE static long one(int id) { return change(%s, id, id, id); }
OUTLINE static long other(int id) { return change(114, id, id, 0); }
OUTLINE static long run(long id) { return one(id) + other(id); }
"""


@pytest.mark.parametrize("options", [(), ("-Os",), ("-no-pie", "-fno-pie"), ("-O3", "-msse4")], ids="".join)
def test_what_changes_identity_on_all_threads(tmp_path: Path, options: tuple[str, ...]):
    found = freestanding(tmp_path, _SETXID % "117", *options)
    assert {"setresuid", "setregid"} <= set(found.required)
    assert found.complete


@pytest.mark.parametrize("number", ["167", "id"], ids=["swapon", "unknown"])
def test_what_is_no_such_call_or_not_known_is_reported(tmp_path: Path, number: str):
    found = freestanding(tmp_path, _SETXID % number)
    assert not found.complete
    assert "read from memory" in found.unresolved[0].reason


def test_a_number_that_is_not_read_is_not_told_by_what_is_passed_with_the_function(tmp_path: Path):
    text = _SETXID.replace("o->number,", "drawn(),").replace("OUTLINE", "OUTLINE static int drawn(void);\nOUTLINE", 1)
    found = freestanding(tmp_path, text % "117" + "static volatile int all[9]; int drawn(void) { return all[all[0]]; }")
    assert not found.complete


@pytest.mark.skipif(shutil.which("musl-gcc") is None, reason="no musl here")
def test_musl_itself(tmp_path: Path):
    source = "#include <unistd.h>\nint main(int n, char **v) { return setregid(n, n) || setreuid(n, n); }"
    command = ["musl-gcc", "-D_GNU_SOURCE", "-O2", "-static", "-s", "-x", "c", "-", "-o", str(tmp_path / "program")]
    subprocess.run(command, input=source, text=True, check=True)
    found = calls(tmp_path / "program")
    assert {"setregid", "setreuid"} <= set(found.required)
    assert "setuid" not in found.required
