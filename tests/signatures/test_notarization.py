"""Tickets of notarization: only Apple's word about this very code counts."""

from collections.abc import Callable

import pytest
from built_bundle import Application
from checked_cms import check
from hypothesis import given, settings
from hypothesis import strategies as st
from macho_verdicts import problems
from notarized import Ticket
from signed_cms import APPLE_CA, Signing, anchors
from signed_macho import Directory, Recipe, thin_slice

from binsafe import signatures
from binsafe.model import Signature
from binsafe.signatures import tickets
from binsafe.signatures.superblob import Slot

SIGNED = Recipe(directories=(Directory(flags=0),), cms=Signing())
CODE = SIGNED.build()
CDHASH = str(check(CODE).cdhash)
OTHER = "00" * 20
GOOD = Ticket(padding=b"")(CDHASH)


def stapled(ticket: bytes, family: str = "apple-root") -> Signature:
    beside = {Slot.TICKET: memoryview(ticket)}
    return signatures.verify(thin_slice(CODE), anchors(family), beside)


def test_a_ticket_counts_for_the_code_that_it_names():
    signature = stapled(Ticket()(OTHER, CDHASH))
    assert (signature.status, signature.notarization, problems(signature)) == ("valid", "stapled", set())
    assert check(CODE).notarization == "unknown"


TRIED: dict[str, tuple[Callable[[], bytes], str]] = {
    "other code": (lambda: Ticket()(OTHER), "is about other code"),
    "no code": (Ticket(), "is about other code"),
    "no marker": (lambda: Ticket(marker=None)(CDHASH), "not for notarization tickets"),
    "no root": (lambda: Ticket(root=APPLE_CA)(CDHASH), "nobody who is known"),
    "certificate not yet valid": (lambda: Ticket(seconds=1)(CDHASH), "was not valid at"),
    "time without end": (lambda: Ticket(seconds=2**63)(CDHASH), "seconds after 1970"),
    "data behind it": (lambda: Ticket(padding=b"payload")(CDHASH), "bytes follow its signature"),
    "zeros behind it": (lambda: Ticket(padding=bytes(99))(CDHASH), "bytes follow its signature"),
    "nothing but the hash": (lambda: b"s8ch" + bytes.fromhex(CDHASH), "cannot be read"),
    "nothing": (lambda: b"", "cannot be read"),
    "very much": (lambda: b"s8ch" * 300_000, "cannot be read"),
}


@pytest.mark.parametrize("made", TRIED)
def test_no_other_ticket_does(made: str):
    """macOS goes on without one, so that the signature is as good as before."""
    ticket, says = TRIED[made]
    signature = stapled(ticket())
    assert (signature.status, signature.notarization) == ("valid", "unknown")
    assert problems(signature) == {"notarization-ticket"}
    assert says in signature.problems[0].detail


def test_no_other_root_vouches():
    assert tickets.objection(memoryview(Ticket()(CDHASH)), [CDHASH], anchors("microsoft-root"))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_edit_of_a_ticket_keeps_it_good(data: st.DataObject):
    at = data.draw(st.integers(0, len(GOOD) - 1))
    edit = data.draw(st.binary(max_size=4))
    edited = GOOD[:at] + edit + GOOD[at + len(edit) :]
    assert edited == GOOD or tickets.objection(memoryview(edited), [CDHASH], anchors())


def test_a_ticket_inside_of_the_signature():
    """0x10002 is the place for it, and no hash covers it: what stands there must be signed by itself."""
    own = str(check(Recipe(components={0x10002: Ticket()(OTHER)}).build()).cdhash)  # the same with any of that length
    good = check(Recipe(components={0x10002: Ticket()(own)}).build())
    assert (good.status, good.notarization) == ("valid", "none")
    named = check(Recipe(components={0x10002: bytes(20)}).build()).cdhash
    named = check(Recipe(components={0x10002: bytes.fromhex(str(named))}).build())
    assert (named.status, problems(named)) == ("invalid", {"uncovered-bytes"})


def test_a_forged_ticket_of_a_bundle_is_told():
    from inspected_bundle import inspect

    recipe = Recipe(directories=(Directory(flags=0),), cms=Signing(marker=None))
    forged = Application(recipe=recipe).build() | {"Contents/CodeResources": b"s8ch" + bytes.fromhex(CDHASH)}
    found = {finding.id: finding.severity for finding in inspect(forged).members[0].report.findings}
    assert found["notarization-ticket"] == "low"
