"""When a Mach-O signature was made, and who confirms it."""

import datetime as dt

import pytest
from checked_cms import problems, signed
from cryptography.x509.oid import ExtendedKeyUsageOID
from signed_cms import APPLE_CA, BEGIN, SIGNED_AT


def test_certificate_that_ran_out_after_signing_does_no_harm():
    assert signed(until=SIGNED_AT + dt.timedelta(days=1)).status == "valid"


def test_certificate_that_had_run_out_before_signing():
    assert problems(signed(until=BEGIN + dt.timedelta(days=1))) == {"cms-chain"}


def test_signature_without_a_time_stamp_is_unknown():
    signature = signed(stamp=None)
    assert (signature.status, signature.timestamped) == ("unknown", False)
    assert signature.unverified == ("the time of signing, which no time stamp confirms",)
    assert signature.signed_at == "2026-03-04T05:06:07+00:00"


def test_apples_own_software_needs_no_time_stamp():
    assert signed(authority=APPLE_CA, marker=None, stamp=None).status == "valid"


def test_countersignature_is_a_time_stamp():
    signature = signed(stamp="countersignature")
    assert (signature.status, signature.timestamped) == ("valid", True)


@pytest.mark.parametrize("stamp", ["token", "countersignature"])
@pytest.mark.parametrize(
    "changes",
    [{"stamped": lambda _: b"another signature"}, {"stamp_purpose": ExtendedKeyUsageOID.CODE_SIGNING}],
    ids=["another's", "not for time stamps"],
)
def test_time_stamp_that_does_not_hold(stamp: str, changes: dict[str, object]):
    signature = signed(stamp=stamp, **changes)
    assert (signature.status, problems(signature)) == ("invalid", {"timestamp"})


def test_time_stamp_by_nobody_known():
    signature = signed(stamp_root=("Unknown Root", "Nobody"))
    assert (signature.status, signature.problems) == ("unknown", ())
    assert "'Unknown Root'" in signature.unverified[0]


def test_time_stamp_that_is_none():
    signature = signed(stamp=None, unsigned={"1.2.840.113549.1.9.16.2.14": [b"\x30\x03\x02\x01\x01"]})
    assert problems(signature) == {"timestamp"}
