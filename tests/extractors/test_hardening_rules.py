import msgspec
import pytest
from minimal_slices import defining, importing, minimal, subject

from binsafe.extractors import hardening
from binsafe.model import GoBuild, Import, Library, Signature, Slice


def state(name: str, slice_: Slice, **known: object):
    return hardening.extract(subject(slice_, **known)).value[name]


@pytest.mark.parametrize(
    ("format_", "trait", "mitigation", "on", "off"),
    [
        ("elf", "pie", "pie", True, False),
        ("elf", "executable_stack", "nx", False, True),
        ("mach-o", "pie", "pie", True, False),
        ("mach-o", "allow_stack_execution", "nx", False, True),
        ("pe", "dynamic_base", "aslr", True, False),
        ("pe", "high_entropy_va", "high_entropy_aslr", True, False),
        ("pe", "nx_compat", "nx", True, False),
        ("pe", "guard_cf", "guard_cf", True, False),
        ("pe", "security_cookie", "canary", True, False),
        ("pe", "cet_compat", "shadow_stack", True, False),
        ("elf", "ibt", "ibt", True, False),
        ("elf", "shadow_stack", "shadow_stack", True, False),
        ("mach-o", "encrypted", "encrypted", True, False),
    ],
)
def test_headers_say_present_absent_or_nothing(format_: str, trait: str, mitigation: str, on: bool, off: bool):
    slices = [minimal(format=format_, traits=traits) for traits in ({trait: on}, {trait: off}, {})]
    assert [state(mitigation, slice_) for slice_ in slices] == ["present", "absent", "unknown"]


def test_what_a_system_decides_itself_is_not_absent():
    assert state("nx", minimal(traits={"executable_stack": True}, system="openbsd")) == "not-applicable"


@pytest.mark.parametrize(
    ("traits", "expected"),
    [
        ({"relro": True, "bind_now": True, "relro_got": True}, "present"),
        ({"relro": True, "bind_now": True, "relro_got": False}, "partial"),
        ({"relro": True, "bind_now": False, "relro_got": True}, "partial"),
        ({"relro": False, "bind_now": True}, "absent"),
        ({}, "unknown"),
    ],
)
def test_relro_is_full_only_when_everything_is_bound_first_and_protected_then(traits: dict[str, bool], expected: str):
    assert state("relro", minimal(traits=traits)) == expected


def test_what_binds_nothing_needs_no_haste():
    assert state("relro", minimal(linkage="static-pie", traits={"relro": True})) == "present"


def test_canary_shows_in_the_names():
    assert state("canary", importing("puts", "__stack_chk_fail")) == "present"
    assert state("canary", defining("main", "__stack_chk_fail", linkage="static")) == "present"
    assert state("canary", importing("puts")) == "absent"
    assert state("canary", minimal(linkage="static")) == "unknown"


def test_fortify_is_all_some_or_none_of_the_calls():
    assert state("fortify", importing("__memcpy_chk", "puts")) == "present"
    assert state("fortify", importing("__memcpy_chk", "strcpy")) == "partial"
    assert state("fortify", importing("__longjmp_chk", "strcpy")) == "partial"
    assert state("fortify", importing("__fdelt_chk", "strcpy")) == "partial"
    assert state("fortify", importing("strcpy")) == "absent"
    assert state("fortify", importing("puts", "__stack_chk_fail")) == "not-applicable"
    assert state("fortify", minimal(linkage="static")) == "unknown"
    assert state("fortify", minimal(linkage="dynamic")) == "not-applicable"
    assert state("fortify", importing("strcpy", linkage="static")) == "absent"


def test_go_needs_no_canary():
    go = GoBuild(version="go1.22")
    assert state("canary", minimal(linkage="static"), go=go) == "not-applicable"
    assert state("fortify", importing("strcpy"), go=go) == "not-applicable"
    assert state("guard_cf", minimal(format="pe", traits={"guard_cf": False}), go=go) == "not-applicable"


def test_what_a_processor_does_not_have_is_not_absent():
    thin = minimal(format="pe", bits=32, arch="i386", traits={"high_entropy_va": False, "safe_seh": True})
    assert (state("high_entropy_aslr", thin), state("safe_seh", thin)) == ("not-applicable", "present")
    assert state("safe_seh", minimal(format="pe")) == "not-applicable"
    pointers = [
        state("pointer_authentication", minimal(format="mach-o", arch=arch)) for arch in ("arm64e", "arm64", "x86_64")
    ]
    assert pointers == ["present", "absent", "not-applicable"]


def test_marked_branch_targets_are_of_the_processors_that_know_them():
    arm = minimal(arch="arm64", traits={"bti": True, "pac": False})
    assert [state(name, arm) for name in ("bti", "pac", "ibt")] == ["present", "absent", "not-applicable"]
    assert state("bti", minimal()) == "not-applicable"


def test_control_flow_guard_without_its_table_guards_little():
    states = [
        state("guard_cf", minimal(format="pe", traits={"guard_cf": True, "guard_table": table}))
        for table in (True, False)
    ]
    assert states == ["present", "partial"]


def test_entropy_is_of_no_use_to_what_is_never_moved():
    fixed = minimal(format="pe", traits={"high_entropy_va": True, "dynamic_base": False})
    assert state("high_entropy_aslr", fixed) == "absent"


@pytest.mark.parametrize(
    ("flags", "entitlement", "validated", "restricted"),
    [
        (("runtime",), None, "present", "present"),
        (("runtime",), "disable-library-validation", "absent", "present"),
        (("runtime",), "allow-dyld-environment-variables", "present", "absent"),
        (("library-validation",), None, "present", "absent"),
        (("restrict",), None, "absent", "present"),
        ((), None, "absent", "absent"),
    ],
)
def test_what_dyld_may_load_is_a_matter_of_flags_and_entitlements(
    flags: tuple[str, ...], entitlement: str | None, validated: str, restricted: str
):
    entitlements = {f"com.apple.security.cs.{entitlement}": True} if entitlement else None
    signed = Signature(kind="developer-id", status="valid", flags=flags, entitlements=entitlements)
    slice_ = minimal(format="mach-o")
    assert state("library_validation", slice_, signature=signed) == validated
    assert state("restricted", slice_, signature=signed) == restricted


def test_a_restrict_segment_restricts():
    assert state("restricted", minimal(format="mach-o", traits={"restrict": True})) == "present"


@pytest.mark.parametrize(
    ("path", "dangerous"),
    [
        ("lib", True), (".", True), ("/tmp/lib", True), ("/dev/shm", True), ("$ORIGIN/../lib", False),
        ("/proc/self/cwd/lib", True), ("//tmp/lib", True), ("/usr/../tmp", True), ("/var/tmp/./x", True),
        ("${ORIGIN}", False), ("/usr/lib/tool", False), ("@executable_path/lib", False), ("/tmpfs/lib", False),
        ("$ORIGINAL/lib", True), ("$ORIGIN", False), ("@loader_path", False), ("@loader_pathology/lib", True),
    ],
)  # fmt: skip
def test_a_path_for_libraries_that_others_can_write_is_a_finding(path: str, dangerous: bool):
    found = hardening.extract(subject(minimal(rpaths=(path,)))).findings
    assert [finding.id for finding in found] == ["library-path"] * dangerous


@pytest.mark.parametrize(
    ("named", "dangerous"),
    [("libc.so.6", False), ("/opt/x/libx.so", False), ("./libx.so", True), ("../x/y.so", True), ("/tmp/libx.so", True)],
)
def test_a_library_named_with_a_folder_that_others_can_write_is_a_finding(named: str, dangerous: bool):
    """DT_NEEDED, DT_FILTER or DT_AUDIT: what has a slash is not looked for, but opened."""
    found = hardening.extract(subject(minimal(libraries=(Library(name=named, kind="needed"),)))).findings
    assert [finding.id for finding in found] == ["library-path"] * dangerous


@pytest.mark.parametrize(
    ("loader", "dangerous"),
    [("/lib64/ld-linux-x86-64.so.2", False), ("/nix/store/x/ld.so", False), ("ld.so", True), ("/dev/shm/ld.so", True)],
)
def test_a_loader_that_others_can_write_is_a_finding(loader: str, dangerous: bool):
    found = hardening.extract(subject(minimal(traits={"interpreter": loader}))).findings
    assert [finding.id for finding in found] == ["library-path"] * dangerous


def test_a_dylib_named_without_a_folder_is_looked_for_in_the_current_one():
    for name, dangerous in (("libx.dylib", True), ("@rpath/libx.dylib", False), ("/usr/lib/libx.dylib", False)):
        slice_ = minimal(format="mach-o", libraries=(Library(name=name, kind="load"),))
        assert [finding.id for finding in hardening.extract(subject(slice_)).findings] == ["library-path"] * dangerous


def test_a_path_counts_where_something_is_looked_for_in_it():
    system, own = (Library(name=name, kind="load") for name in ("/usr/lib/libSystem.B.dylib", "@loader_path/b.dylib"))
    opens = (Import(name="_dlopen", address=None),)
    for libraries, imports, dangerous in (((system,), (), False), ((system, own), (), True), ((system,), opens, True)):
        slice_ = minimal(format="mach-o", rpaths=("/tmp/lib",), libraries=libraries, imports=imports)
        assert [finding.id for finding in hardening.extract(subject(slice_)).findings] == ["library-path"] * dangerous


def test_variables_that_a_file_sets_for_dyld_are_told_and_their_places_looked_at():
    """LC_DYLD_ENVIRONMENT: dyld obeys those that name paths, in a main program."""
    said = "DYLD_INSERT_LIBRARIES=/tmp/x.dylib\nDYLD_LIBRARY_PATH=/opt/x:/tmp/y"
    found = hardening.extract(subject(minimal(format="mach-o", traits={"dyld_environment": said}))).findings
    details = {finding.id: finding.detail for finding in found}
    assert sorted(details) == ["dyld-environment", "library-path"]
    assert "DYLD_LIBRARY_PATH=/opt/x:/tmp/y" in details["dyld-environment"]
    assert "INSERT" not in details["dyld-environment"]
    assert details["library-path"] == "Of the places that it names: '/tmp/y' can be written by everybody."


def test_an_empty_entry_of_the_path_is_the_current_folder():
    found = hardening.extract(subject(minimal(traits={"rpath_current_folder": True}))).findings
    assert [finding.id for finding in found] == ["library-path"]


def test_hardened_runtime_is_a_flag_of_the_signature():
    slice_ = minimal(format="mach-o")
    signed = Signature(kind="developer-id", status="valid", flags=("runtime",))
    assert state("hardened_runtime", slice_, signature=signed) == "present"
    assert state("hardened_runtime", slice_) == "absent"


def test_memory_that_is_data_and_code_is_a_finding():
    plain = minimal(b"data")
    code, data = plain.segments
    packed = minimal(b"data", segments=(code, msgspec.structs.replace(data, executable=True)))
    assert hardening.extract(subject(plain)).findings == ()
    assert [finding.id for finding in hardening.extract(subject(packed)).findings] == ["writable-code"]
