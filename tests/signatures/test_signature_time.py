"""When a Mach-O signature was made, and who confirms it."""

import datetime as dt
from collections.abc import Callable

import pytest
from asn1crypto import cms, core
from checked_cms import EDITS, edited, signed
from cryptography.x509.oid import ExtendedKeyUsageOID
from macho_verdicts import problems
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


def test_countersignature_that_names_no_time():
    signature = signed(stamp="countersignature", stamp_says_when=False)
    assert (signature.status, problems(signature)) == ("invalid", {"timestamp"})


@pytest.mark.parametrize("stamp", ["token", "countersignature"])
@pytest.mark.parametrize(
    "changes",
    [{"stamped": lambda _: b"another signature"}, {"stamp_purpose": ExtendedKeyUsageOID.CODE_SIGNING}],
    ids=["another's", "not for time stamps"],
)
def test_time_stamp_that_does_not_hold(stamp: str, changes: dict[str, object]):
    signature = signed(stamp=stamp, **changes)
    assert (signature.status, problems(signature)) == ("invalid", {"timestamp"})


def test_time_stamp_that_was_signed_as_something_else():
    """Old servers countersign whatever they are sent, as data: that may look like a time stamp of any time."""
    signature = signed(stamp_type="data")
    assert (signature.status, "it holds 1.2.840.113549.1.7.1" in signature.problems[0].detail) == ("invalid", True)


def test_time_stamp_by_nobody_known():
    signature = signed(stamp_root=("Unknown Root", "Nobody"))
    assert (signature.status, signature.problems) == ("unknown", ())
    assert "'Unknown Root'" in signature.unverified[0]


def test_time_stamp_that_is_none():
    signature = signed(stamp=None, unsigned={"1.2.840.113549.1.9.16.2.14": [b"\x30\x03\x02\x01\x01"]})
    assert problems(signature) == {"timestamp"}


@pytest.mark.parametrize("edit", EDITS)
def test_room_for_data_in_a_token_that_nobody_signed(edit: Callable[[cms.SignedData], None]):
    signature = signed(tokens=lambda token: [edited(token, edit)])
    assert (signature.status, problems(signature)) == ("valid", {"uncovered-bytes"})
    assert "a time stamp with" in signature.problems[0].detail


@pytest.mark.parametrize(("size", "status"), [(800, set()), (2000, {"uncovered-bytes"})])
def test_what_microsofts_machines_bring_along_is_no_room_for_data(size: int, status: set[str]):
    """Each of their tokens has an attribute certificate of the machine that made it."""

    def with_other(signed_data: cms.SignedData) -> None:
        other = {"other_cert_format": "1.2.3.5", "other_cert": core.OctetString(bytes(size))}
        signed_data["certificates"].append(cms.CertificateChoices(name="other", value=other))

    def with_machine(token: bytes) -> bytes:
        before, name, after = edited(token, with_other).partition(core.ObjectIdentifier("1.2.3.5").dump())
        version = core.SequenceOf([1], spec=core.Integer).dump()
        assert len(version) == len(name)
        return before[:-4] + b"\xa1" + before[-3:] + version + after  # [1] instead of [3]

    signature = signed(tokens=lambda token: [with_machine(token)])
    assert (signature.status, problems(signature)) == ("valid", status)


def test_room_for_data_in_a_time_stamp_beside_the_one_that_holds():
    made: list[bytes] = []
    signed(stamped=lambda _: b"another", tokens=lambda token: made.append(token) or [token])
    signature = signed(tokens=lambda token: [token, made[-1]])
    assert (signature.status, problems(signature)) == ("valid", {"uncovered-bytes"})
    assert "1 time stamps that prove nothing" in signature.problems[0].detail


def test_room_for_data_in_time_stamps_that_are_not_looked_at():
    signature = signed(tokens=lambda token: [token] * 7)
    assert (signature.status, problems(signature)) == ("valid", {"uncovered-bytes"})
    assert "3 time stamps that were not looked at" in signature.problems[0].detail
