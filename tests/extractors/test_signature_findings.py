import pytest
from minimal_slices import calls, minimal, subject

from binsafe.extractors import entitlements, signature, syscalls
from binsafe.model import Problem, Severity, Signature, Signer, Unresolved


def findings(given: Signature, format_: str = "mach-o"):
    extracted = signature.extract(subject(minimal(format=format_), signature=given))
    assert extracted.value is given
    return {finding.id: finding.severity for finding in extracted.findings}


@pytest.mark.parametrize(
    ("format_", "severity"), [("mach-o", Severity.MEDIUM), ("pe", Severity.MEDIUM), ("elf", Severity.INFO)]
)
def test_no_signature_matters_where_the_system_knows_signatures(format_: str, severity: Severity):
    assert findings(Signature(kind="none", status="absent"), format_) == {"unsigned": severity}


@pytest.mark.parametrize("kind", ["object", "debug-symbols"])
def test_what_is_never_loaded_is_never_signed(kind: str):
    given = Signature(kind="none", status="absent")
    extracted = signature.extract(subject(minimal(format="mach-o", kind=kind), signature=given))
    assert [finding.severity for finding in extracted.findings] == [Severity.INFO]


@pytest.mark.parametrize(("kind", "finding"), [("linker", "linker-signed"), ("adhoc", "adhoc-signed")])
def test_a_signature_without_a_signer_proves_nothing_about_who(kind: str, finding: str):
    assert findings(Signature(kind=kind, status="valid")) == {finding: Severity.LOW}


def test_an_invalid_signature_is_high_under_the_id_of_its_problem():
    broken = Signature(kind="developer-id", status="invalid", problems=(Problem(id="page-hash", detail="page 3"),))
    assert findings(broken) == {"page-hash": Severity.HIGH}


def test_an_invalid_signature_is_never_silent():
    assert findings(Signature(kind="developer-id", status="invalid")) == {"signature-invalid": Severity.HIGH}


def test_what_could_not_be_verified_is_no_better_than_no_signature():
    assert findings(Signature(kind="developer-id", status="unknown")) == {"signature-unknown": Severity.MEDIUM}


def test_a_certificate_that_anybody_could_have_made_is_medium():
    signed = Signature(kind="other", status="valid", chain="other", signers=(Signer(common_name="Apple Inc."),))
    assert findings(signed) == {"signer-unknown": Severity.MEDIUM}


def test_a_good_signature_has_no_findings():
    assert findings(Signature(kind="developer-id", status="valid", chain="apple-root")) == {}


def test_files_that_are_elsewhere_are_no_doubt_about_the_signer_and_not_known_to_be_good():
    from binsafe.signatures import NOT_IN_THIS_FILE

    bare = Signature(
        kind="developer-id", status="unknown", chain="apple-root", unverified=(f"the Info.plist {NOT_IN_THIS_FILE}",)
    )
    assert findings(bare) == {"signature-unknown": Severity.MEDIUM}
    (told,) = signature.extract(subject(minimal(format="mach-o"), signature=bare)).findings
    assert "covers files that are not here" in told.title
    both = Signature(kind="other", status="unknown", unverified=(*bare.unverified, "its certificates"))
    assert findings(both) == {"signature-unknown": Severity.MEDIUM}


@pytest.mark.parametrize("type_", ["mac-development", "mac-app-distribution"])
def test_a_certificate_that_is_not_for_what_is_handed_out_is_said(type_: str):
    signed = Signature(kind="other", status="valid", chain="apple-root", certificate_type=type_)
    assert findings(signed) == {"development-signed": Severity.LOW}


@pytest.mark.parametrize(
    ("hashes", "found"),
    [(("sha1",), {"weak-digest": Severity.LOW}), (("sha1", "sha1"), {"weak-digest": Severity.LOW}),
     (("sha1", "sha256"), {}), (("sha256",), {})],
)  # fmt: skip
def test_a_signature_by_sha_1_alone_is_said(hashes: tuple[str, ...], found: dict[str, Severity]):
    signer = Signer(common_name="Contoso")
    signed = Signature(kind="authenticode", status="valid", chain="public-root", signers=(signer,), hash_types=hashes)
    assert findings(signed, "pe") == found


@pytest.mark.parametrize(
    ("name", "kind", "severity"),
    [
        ("com.apple.security.cs.allow-jit", "developer-id", Severity.INFO),
        ("com.apple.developer.networking.networkextension", "developer-id", Severity.LOW),
        ("com.apple.security.cs.allow-unsigned-executable-memory", "developer-id", Severity.LOW),
        ("com.apple.security.cs.disable-library-validation", "developer-id", Severity.MEDIUM),
        ("com.apple.rootless.install", "developer-id", Severity.HIGH),
        ("com.apple.rootless.install", "adhoc", Severity.HIGH),
        ("com.apple.rootless.install", "apple", Severity.LOW),
        ("com.apple.private.anything", "adhoc", Severity.MEDIUM),
        ("com.apple.private.anything", "apple", None),
        ("com.apple.application-identifier", "developer-id", None),
    ],
)
def test_entitlements_matter_as_much_as_what_they_open(name: str, kind: str, severity: Severity | None):
    given = Signature(kind=kind, status="valid", entitlements={name: True}, entitlements_source="der")
    found = entitlements.extract(subject(minimal(), signature=given)).findings
    assert [one.severity for one in found] == ([] if severity is None else [severity])


@pytest.mark.parametrize("kind", ["library", "bundle"])
def test_entitlements_of_a_library_have_no_effect(kind: str):
    given = Signature(kind="adhoc", status="valid", entitlements={"com.apple.rootless.install": True})
    assert entitlements.extract(subject(minimal(kind=kind), signature=given)).findings == ()


def test_forged_signature_of_apple_gets_no_credit():
    given = Signature(kind="apple", status="invalid", entitlements={"com.apple.rootless.install": True})
    assert entitlements.extract(subject(minimal(), signature=given)).findings[0].severity is Severity.HIGH


def test_dangerous_entitlements_are_findings_unless_they_are_off():
    held = {"com.apple.security.get-task-allow": True, "com.apple.security.cs.debugger": False, "harmless": True}
    given = Signature(kind="developer-id", status="valid", entitlements=held, entitlements_source="der")
    extracted = entitlements.extract(subject(minimal(), signature=given))
    assert extracted.value == held
    [finding] = extracted.findings
    assert (finding.id, finding.severity) == ("dangerous-entitlement", Severity.MEDIUM)
    assert "get-task-allow" in finding.title
    assert entitlements.extract_source(subject(minimal(), signature=given)).value == "der"


def test_a_hole_in_the_system_calls_is_a_finding_with_its_places():
    hole = calls("read", complete=False, unresolved=(Unresolved(address="0x401000", reason="the number is computed"),))
    [finding] = syscalls.extract(subject(minimal(), syscalls=hole)).findings
    assert (finding.id, finding.severity) == ("syscalls-incomplete", Severity.LOW)
    assert finding.evidence[0].address == "0x401000"
    assert syscalls.extract(subject(minimal(), syscalls=calls("read"))).findings == ()
    assert syscalls.extract(subject(minimal())).value is None
