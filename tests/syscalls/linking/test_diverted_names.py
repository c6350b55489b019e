"""Files that have another file decide what their names mean: the list says that it is not complete."""

from pathlib import Path

import pytest
from compiled import build, calls, library, needs_compiler

pytestmark = needs_compiler

_CALLS = "#include <sys/acct.h>\n#include <unistd.h>\n"


@pytest.mark.parametrize("option", ["-F", "-f"], ids=["DT_FILTER", "DT_AUXILIARY"])
def test_a_filter_is_reported(option: str, tmp_path: Path):
    library(tmp_path, "other", _CALLS + "void chosen(void) { acct(0); }")
    library(tmp_path, "plain", "void chosen(void) {}", f"-Wl,{option},libother.so")
    program = build(tmp_path, "uses", "void chosen(void); int main(void) { chosen(); }", "-lplain")
    found = calls(program)
    assert "acct" not in found.required
    assert any("it is a filter" in gap.reason for gap in found.unresolved)


@pytest.mark.parametrize("option", ["--audit", "--depaudit"])
def test_an_auditor_is_reported(option: str, tmp_path: Path):
    auditor = library(tmp_path, "auditor", _CALLS + "unsigned la_version(unsigned v) { acct(0); return v; }")
    program = build(tmp_path, "audited", "int main(void) { return 0; }", f"-Wl,{option}={auditor}")
    assert any("has an auditor" in gap.reason for gap in calls(program).unresolved)


def test_what_another_build_of_a_library_does_counts_too(tmp_path: Path):
    library(tmp_path, "behind", _CALLS + "void only_plain(void) { sync(); }")
    library(tmp_path, "plain", _CALLS + "void chosen(void) {} void only_plain(void) {}")
    newer = tmp_path / "glibc-hwcaps" / "x86-64-v2"
    newer.mkdir(parents=True)
    library(newer, "plain", _CALLS + "void chosen(void) { acct(0); }")
    source = "void chosen(void); void only_plain(void); int main(void) { chosen(); only_plain(); }"
    found = calls(build(tmp_path, "uses", source, "-Wl,--no-as-needed", "-lplain", "-lbehind"))
    assert {"acct", "sync"} <= set(found.required)
    assert found.complete
