"""What the package manager put beside a program is the program's; what others share, or what is secret, is not."""

from pathlib import Path

import pytest

from binsafe.distribution import Belongings, belongings

LOADER = "/usr/lib/x86_64-linux-gnu/ld.so"
LIBRARY = "/usr/lib/x86_64-linux-gnu/libgame.so.1"
GAME = "/usr/bin/game"
PACKAGES = {
    "game": ("game-data, clock | time (>= 2), libc6", [GAME, "/usr/share/game/levels", "/usr/share/doc/game/README"]),
    "game-data": ("fonts", ["/usr/share/art/game.png", "/usr/lib/game/plugins/a.so", "/etc/game/settings"]),
    "fonts": ("", ["/usr/share/fonts/game.ttf"]),
    "libgame1:amd64": ("", ["/lib/x86_64-linux-gnu/libgame.so.1", "/usr/share/libgame/data"]),
    "other": ("", ["/usr/share/art/other.png", "/usr/share/other/data"]),
    "clock": ("", ["/usr/bin/clock", "/usr/share/clock/face"]),
    "libc6:amd64": ("", [LOADER, "/usr/share/libc/data"]),
    "extras": ("", ["/usr/share/extras/hat", "/usr/share/extras/link"]),
}


def folders(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(2, len(parts))]


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A system with the packages, as dpkg leaves it."""
    records = tmp_path / "var/lib/dpkg"
    (records / "info").mkdir(parents=True)
    stanzas = []
    for package, (depends, paths) in PACKAGES.items():
        listed = [*dict.fromkeys(folder for path in paths for folder in folders(path)), *paths]
        (records / "info" / f"{package}.list").write_text("/.\n" + "\n".join(listed) + "\n")
        recommends = "Recommends: extras\n" if package == "game" else ""
        stanzas.append(f"Package: {package.partition(':')[0]}\nStatus: installed\nDepends: {depends}\n{recommends}")
        for path in paths:
            place = tmp_path / path[1:].replace("lib/x86", "usr/lib/x86", path.startswith("/lib/"))
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
    (records / "status").write_text("\n".join(stanzas))
    return tmp_path


def found(system: Path) -> Belongings:
    return belongings(GAME, [LIBRARY], LOADER, system)


def test_folders_of_its_own_and_files_in_shared_ones(system: Path):
    assert found(system).packages == ("extras", "fonts", "game", "game-data", "libgame1")
    assert found(system).folders == (
        "/etc/game",
        "/usr/lib/game",
        "/usr/share/extras",
        "/usr/share/fonts",
        "/usr/share/game",
        "/usr/share/libgame",
    )
    assert found(system).files == ("/usr/share/art/game.png",)


def test_what_may_not_be_looked_at_is_left_out(system: Path):
    """A user's machine had a closed folder in /etc, and no program could be run. A long name fails root as well."""
    with (system / "var/lib/dpkg/info/game.list").open("a") as records:
        records.write(f"/etc/{'x' * 300}/mech.d\n")
    (system / "usr/lib/game").chmod(0o700)
    assert {"/usr/share/game", "/usr/lib/game"}.intersection(found(system).folders) == {"/usr/share/game"}


def test_programs_beside_the_program_are_not_shown(system: Path):
    """Git looks for itself in /usr/lib/git-core first: what it sees there and may not run ends the search."""
    (system / "usr/share/art/game.png").chmod(0o755)
    (system / "usr/lib/game/plugins/a.so").chmod(0o755)
    (system / "usr/share/game/start").touch(0o755)
    (system / "usr/share/game/stop").touch(0o755)
    assert found(system).files == ("/usr/share/game/levels",)
    assert "/usr/share/game" not in found(system).folders
    assert "/usr/lib/game" in found(system).folders


def test_a_folder_of_settings_with_a_secret_is_not_given_whole(system: Path):
    key = system / "etc/game/key"
    key.touch()
    key.chmod(0o600)
    assert "/etc/game" not in found(system).folders
    assert "/etc/game/settings" in found(system).files


def test_a_secret_that_a_package_lists_is_not_given(system: Path):
    (system / "usr/share/art/game.png").chmod(0o640)
    assert found(system).files == ()


def test_where_a_packaged_link_leads_is_given_too(system: Path):
    made = system / "var/lib/extras/made"
    made.parent.mkdir(parents=True)
    made.touch()
    link = system / "usr/share/extras/link"
    link.unlink()
    link.symlink_to(made)
    assert "/var/lib/extras/made" in found(system).files


def test_a_program_that_no_package_has_is_given_nothing(system: Path):
    (system / "usr/local/bin").mkdir(parents=True)
    (system / "usr/local/bin/game").touch()
    for path in ("/usr/local/bin/game", "/home/user/game", "/usr/bin/none"):
        assert belongings(path, [LIBRARY], LOADER, system) == Belongings()


def test_a_system_with_other_records(tmp_path: Path):
    assert belongings(GAME, [], LOADER, tmp_path) == Belongings()
