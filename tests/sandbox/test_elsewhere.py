"""No name that a program chooses reaches another machine by its supervisor's looking for what that program missed."""

import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux")

TABLE = """\
22 1 8:1 / / rw,relatime - ext4 /dev/root rw
40 22 0:40 / {0}/home rw - autofs systemd-1 rw
41 40 8:2 / {0}/home rw - ext4 /dev/home rw
42 22 0:41 / {0}/net rw,relatime shared:9 - autofs -hosts rw
43 42 0:42 / {0}/net/nas/music rw - nfs4 nas:/music rw
44 22 0:43 / {0}/my\\040clouds rw - fuse.rclone remote: rw
45 22 8:3 / {0}/disk rw - fuseblk /dev/sdb1 rw
46 22 0:45 / {0}/layers rw - fuse.fuse-overlayfs fuse-overlayfs rw
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for a host with such mounts, empty but for links and where they lead."""
    from binsafe.sandbox.linux import elsewhere

    monkeypatch.setattr(elsewhere, "_mounts", lambda _: elsewhere.parse_mounts(TABLE.format(tmp_path)))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "link").symlink_to("../net")
    (tmp_path / "home" / "turning").symlink_to("turning")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("net/evil.example/secret", "net/evil.example/secret"),
        ("my clouds/secret", "my clouds/secret"),
        ("home/link/evil.example", "net/evil.example"),
        ("home/link/../net/evil.example", "net/evil.example"),
        ("home/turning/x", "home/turning/x"),
        ("home/file", None),
        ("net/nas/music/song", "net/nas/music/song"),  # the way there leads by what asks
        ("disk/file", None),
        ("layers/file", None),
        ("network", None),
    ],
)
def test_where_a_path_leaves_this_machine(host: Path, path: str, left: str | None):
    from binsafe.sandbox.linux.elsewhere import leaves, may_exist

    expected = left and str(host / left)
    assert leaves(f"{host}/{path}") == expected
    assert may_exist(f"{host}/{path}") == (expected is not None)  # none of them is there, had anybody looked


def test_links_inside_a_sandbox_lead_where_they_would_lead_us(host: Path, tmp_path_factory: pytest.TempPathFactory):
    from binsafe.sandbox.linux.elsewhere import leaves

    root = tmp_path_factory.mktemp("root")
    (root / "scratch").symlink_to(host / "net" / "evil.example")
    assert leaves("/scratch/secret", str(root)) == str(host / "net" / "evil.example" / "secret")
    assert leaves("/other", str(root)) is None


def test_what_is_missed_there_is_named_and_not_looked_for(host: Path):
    from binsafe.sandbox.linux.given import Given
    from binsafe.sandbox.linux.lookups import Asked, Lookups
    from binsafe.sandbox.linux.notifications import Call
    from binsafe.sandbox.linux.pathcalls import PATH_CALLS

    lookups = Lookups(Given(merged={}, readable=(), writable=(), present=()), walks=False, working_folder="")
    for path, there in ((f"{host}/net/evil.example", True), (f"{host}/none", False)):
        missed = lookups.miss(Call(0, 0, 0, 0, (0, 0, 0)), PATH_CALLS["stat"], Asked(path, path))
        assert missed is not None
        assert (missed.path, missed.there) == (path, there)
