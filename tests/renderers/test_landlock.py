"""Landlock plans: a fixed list of rights for each ABI, and no more than the policy grants."""

import json
import re
from pathlib import Path

import pytest
from made_policies import grant, make_policy

from binsafe.errors import CannotExpress
from binsafe.kernel.rights import ABI_RIGHTS, FILE_RIGHTS, LATEST, Fs, Net, Scope
from binsafe.renderers.landlock import plan, render

POLICY = make_policy(
    grant("execute", "artifact"),
    grant("read", "artifact"),
    grant("read", "/data"),
    grant("write", "scratch"),
    grant("listen", "127.0.0.1:4000", "tcp"),
)


@pytest.mark.parametrize(
    ("abi", "handled"),
    [
        (1, (0x1FFF,)),
        (2, (0x3FFF,)),
        (3, (0x7FFF,)),
        (4, (0x7FFF, 3)),
        (5, (0xFFFF, 3)),
        (6, (0xFFFF, 3, 3)),
        (7, (0xFFFF, 3, 3)),
        (99, (0xFFFF, 3, 3)),
    ],
)
def test_handled_rights_are_a_fixed_list_per_abi(abi: int, handled: tuple[int, ...]):
    assert plan(POLICY, abi).handled == handled


def test_a_folder_among_the_devices_is_one():
    """A file could not be made in /dev/shm, which was granted."""
    rules = {
        rule.object: rule.rights
        for rule in plan(make_policy(grant("write", "/dev/shm"), grant("write", "/dev/null")), 7).rules
    }
    assert Fs.MAKE_REG in rules["/dev/shm"]
    assert rules["/dev/null"] & ~FILE_RIGHTS == 0


def test_rights_are_the_headers():
    """Where the C library's development files are installed, the kernel's own header is asked."""
    header = Path("/usr/include/linux/landlock.h")
    if not header.exists():
        pytest.skip("linux/landlock.h is not installed here")
    found = dict(re.findall(r"#define LANDLOCK_ACCESS_FS_(\w+)\s+\(1ULL << (\d+)\)", header.read_text()))
    assert len(found) >= 13
    for name, bit in found.items():
        if name in Fs.__members__:
            assert Fs[name] == 1 << int(bit)


def test_rules_are_what_is_granted():
    rules = {rule.object: rule.rights for rule in plan(POLICY, LATEST).rules}
    assert rules["artifact"] == Fs.EXECUTE | Fs.READ_FILE
    assert rules["/data"] == Fs.READ_FILE | Fs.READ_DIR
    assert set(rules) == {"artifact", "/data", "scratch"}
    never = Fs.EXECUTE | Fs.MAKE_CHAR | Fs.MAKE_BLOCK | Fs.MAKE_SOCK | Fs.IOCTL_DEV
    assert not rules["scratch"] & never
    assert rules["scratch"] & Fs.WRITE_FILE


@pytest.mark.parametrize("abi", ABI_RIGHTS)
def test_rules_never_name_a_right_that_is_not_handled(abi: int):
    chosen = plan(POLICY, abi)
    assert all(rule.rights and not rule.rights & ~chosen.handled_fs for rule in chosen.rules)
    assert all(rule.rights & FILE_RIGHTS for rule in chosen.rules)


def test_what_an_older_kernel_leaves_to_other_layers_is_named():
    assert plan(POLICY, 7).missing == ()
    assert plan(POLICY, 5).missing == ("abstract_unix_socket", "signal")
    assert set(plan(POLICY, 1).missing) == {
        "refer", "truncate", "ioctl_dev", "bind_tcp", "connect_tcp", "abstract_unix_socket", "signal",
    }  # fmt: skip


def test_no_landlock_is_no_plan():
    with pytest.raises(CannotExpress, match="no Landlock") as caught:
        plan(POLICY, 0)
    assert "5.13" in caught.value.hint


def test_the_document_has_the_rights_and_refuses_a_host():
    document = json.loads(render(POLICY).text)
    assert document["abi"] == LATEST
    assert document["handled_net"] == ["bind_tcp", "connect_tcp"]
    assert {"object": "/data", "rights": ["read_file", "read_dir"]} in document["rules"]
    assert (Net(3), Scope(3)) == (plan(POLICY, 7).handled_net, plan(POLICY, 7).scoped)
    with pytest.raises(CannotExpress, match="cannot name the host"):
        render(make_policy(grant("connect", "localhost:80", "tcp")))
