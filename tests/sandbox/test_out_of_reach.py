"""What holds a program, or decides about its next start, is not given to it to be written."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import msgspec
import pytest

import binsafe
from binsafe.errors import NotEnforceable
from binsafe.model import Grant, Policy
from binsafe.model.policy import PolicyArtifact
from binsafe.sandbox import reach
from binsafe.sandbox.reach import check_files, check_lent_rights, check_links, check_other_names, check_own

PACKAGE = Path(binsafe.__file__).parent
OWN = {
    "our package": PACKAGE,
    "a folder of it": PACKAGE / "cli",
    "what it lies in": PACKAGE.parent,
    "the baselines of a checkout": PACKAGE.parent / "profiles" / "baselines",
    "the libraries": Path(sysconfig.get_path("purelib")),
    "the interpreter's folder": Path(sys.executable).parent,
    "the standard library": Path(os.__file__).parent,
    "where that is, in a virtual environment": Path(sys.prefix, "pyvenv.cfg"),
}

ARTIFACT = PolicyArtifact(name="program", sha256="", system="linux", arch="x86_64")


def writing(path: Path) -> Policy:
    """A policy that grants a folder to be written, beside a scratch folder of the sandbox's own."""
    own = Grant(kind="write", object="/tmp", access="scratch", reason="test")
    given = Grant(kind="write", object=str(path), reason="test")
    return Policy(artifact=ARTIFACT, baseline="cli_tool", grants=(own, given))


pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]


@pytest.mark.parametrize("what", OWN)
def test_what_binsafe_is_made_of_cannot_be_granted(what: str):
    with pytest.raises(NotEnforceable, match="what binsafe is made of"):
        check_own(writing(OWN[what]))


@pytest.mark.parametrize("granted", ["cache", "cache/binsafe/policies", "."])
def test_policies_that_are_kept_cannot_be_granted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, granted: str):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(NotEnforceable, match="what binsafe is made of"):
        check_own(writing(tmp_path / granted))


def test_where_python_looks_for_modules_nothing_can_be_put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A program left a binsafe of its own in the folder that its user was in, which python -m binsafe then started."""
    here = tmp_path / "here"
    here.mkdir()
    for python, told in (([sys.executable], True), ([sys.executable, "-P"], False)):
        command = [*python, "-m", "binsafe", "run", "--write", ".", "true"]
        done = subprocess.run(command, check=False, capture_output=True, cwd=here)
        assert done.returncode == 0, done
        assert (b"python -P -m binsafe" in done.stderr) == told, done
    users = tmp_path / "users" / "site-packages"  # is not there yet
    monkeypatch.setattr("site.ENABLE_USER_SITE", True)
    monkeypatch.setattr("site.getusersitepackages", lambda: str(users))
    for folder in (users, tmp_path):
        with pytest.raises(NotEnforceable, match="Python looks for"):
            check_own(writing(folder))
    check_own(writing(here))


def test_our_own_files_cannot_be_granted_by_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """uv installs what it has in its cache by links, so that who may write the cache may write what is installed."""
    installed, cache = tmp_path / "installed", tmp_path / "cache"
    installed.mkdir()
    cache.mkdir()
    (installed / "module.py").write_text("x")
    (cache / "other.py").write_text("x")
    monkeypatch.setattr(reach, "_installed", lambda: iter([(str(installed / "module.py"), str(installed))]))
    check_other_names(writing(cache))
    (cache / "module.py").hardlink_to(installed / "module.py")
    (cache / "leads-nowhere").symlink_to("nothing")
    with pytest.raises(NotEnforceable, match="by another name"):
        check_other_names(writing(cache))
    with pytest.raises(NotEnforceable, match="by another name"):
        check_other_names(writing(cache / "module.py"))


def test_what_runs_as_its_owner_is_not_given_to_be_written(tmp_path: Path):
    """A write takes the bit from it, a mapping does not: who started it then ran the program's code as its owner."""
    (tmp_path / "deep").mkdir()
    lends = tmp_path / "deep" / "lends"
    lends.write_text("x")
    lends.chmod(0o4755)
    for granted in (lends, tmp_path):
        with pytest.raises(NotEnforceable, match=f"{lends} there lends"):
            check_lent_rights(writing(granted))
    command = [sys.executable, "-m", "binsafe", "run", "--write", str(tmp_path), "true"]
    assert subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 125
    reading = Grant(kind="read", object=str(lends), reason="test")
    policy = writing(tmp_path)
    check_lent_rights(msgspec.structs.replace(policy, grants=(*policy.grants, reading)))
    lends.chmod(0o755)
    check_lent_rights(writing(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_what_its_user_may_not_write_no_program_of_theirs_can(tmp_path: Path):
    """A browser's helper, which is root's, in a folder of its user's; the owner's own, who may make it writable."""
    lends = tmp_path / "lends"
    lends.write_text("x")
    lends.chmod(0o4555)
    check_lent_rights(writing(tmp_path))  # to make it writable takes the bit from it
    check_lent_rights(writing(Path("/usr/bin")))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file capabilities")
def test_what_runs_with_capabilities_is_not_given_to_be_written(tmp_path: Path):
    lends = tmp_path / "lends"
    lends.write_text("x")
    lends.chmod(0o755)
    os.setxattr(lends, "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    with pytest.raises(NotEnforceable, match="lends"):
        check_lent_rights(writing(tmp_path))


def test_what_is_no_folder_holds_nothing(monkeypatch: pytest.MonkeyPatch):
    """/dev/null may be written by every program, and is the home of some users."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/dev/null")
    check_own(writing(Path("/dev/null")))


def test_a_file_is_out_of_reach_where_neither_it_nor_what_it_leads_to_can_be_written(tmp_path: Path):
    given, apart = tmp_path / "given", tmp_path / "apart"
    given.mkdir()
    apart.symlink_to(given / "file")
    for file in (apart, given / "file", given / "folder" / "file"):
        with pytest.raises(NotEnforceable, match="which the program may write"):
            check_files(writing(given), [str(file)])
    check_files(writing(given), [str(tmp_path / "given.jsonl")])


def test_a_link_that_a_program_left_behind_is_not_followed_to_the_report(tmp_path: Path):
    (tmp_path / "denied.jsonl").symlink_to(tmp_path / "victim")
    command = [sys.executable, "-m", "binsafe", "run", "--yes", "--write", str(tmp_path)]
    for words in (["--report", str(tmp_path / "denied.jsonl")], ["--write", str(PACKAGE)]):
        done = subprocess.run([*command, *words, "true"], check=False, capture_output=True, timeout=60)
        assert done.returncode == 125, done.stderr
    assert not (tmp_path / "victim").exists()


def test_a_link_that_the_program_may_change_leads_to_nothing_that_is_granted(tmp_path: Path):
    given, secret = tmp_path / "given", tmp_path / "secret"
    (given / "deep").mkdir(parents=True)
    secret.write_text("x")
    (given / "deep" / "file").symlink_to("../../secret")
    (given / "here").symlink_to("deep")
    (tmp_path / "way").symlink_to("given/deep")
    for path in (given / "deep" / "file", given / "here" / "file", tmp_path / "way" / "file"):
        grant = Grant(kind="read", object=str(path), reason="test")
        with pytest.raises(NotEnforceable, match="a link that the program may change") as refused:
            check_links(Policy(artifact=ARTIFACT, baseline="cli_tool", grants=(grant, *writing(given).grants)))
        assert str(secret) in refused.value.hint
    for path in (given / "here", tmp_path / "way", secret):  # within it, by somebody else's link, by none
        grant = Grant(kind="read", object=str(path), reason="test")
        check_links(Policy(artifact=ARTIFACT, baseline="cli_tool", grants=(grant, *writing(given).grants)))


def test_nothing_is_started_with_a_grant_that_a_link_of_its_own_may_lead_elsewhere(tmp_path: Path):
    given, secret = tmp_path / "given", tmp_path / "secret"
    given.mkdir()
    secret.write_text("secret")
    (given / "link").symlink_to(secret)
    options = ["--write", str(given), "--read", str(given / "link")]
    command = [sys.executable, "-m", "binsafe", "run", *options, "/bin/true"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 125
    assert "a link that the program may change" in done.stderr
