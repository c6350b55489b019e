"""Requirements in Apple's binary form, built here operation by operation, as text."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signed_macho import ADHOC, REQUIREMENTS, Directory, Recipe, blob, thin_slice

from binsafe.signatures import verify
from binsafe.signatures.requirements import MAX_DEPTH, read
from binsafe.signatures.structure import StructureError

FALSE, TRUE, APPLE, GENERIC = (struct.pack(">I", code) for code in (0, 1, 3, 15))
MARKER = bytes.fromhex("2a864886f763640601") + b"\x0d"


def word(number: int) -> bytes:
    return struct.pack(">I", number & 0xFFFFFFFF)


def data(content: bytes) -> bytes:
    return word(len(content)) + content + bytes(-len(content) % 4)


def identifier(name: bytes) -> bytes:
    return word(2) + data(name)


def both(one: bytes, other: bytes) -> bytes:
    return word(6) + one + other


def either(one: bytes, other: bytes) -> bytes:
    return word(7) + one + other


def requirement(expression: bytes, kind: int = 1) -> bytes:
    return blob(0xFADE0C00, word(kind) + expression)


def requirements(*expressions: bytes, types: tuple[int, ...] = (3, 4, 5)) -> memoryview:
    at, index, body = 12 + 8 * len(expressions), b"", b""
    for type_, expression in zip(types, expressions, strict=False):
        index += word(type_) + word(at + len(body))
        body += requirement(expression)
    return memoryview(blob(0xFADE0C01, word(len(expressions)) + index + body))


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (FALSE, "never"),
        (TRUE, "always"),
        (both(identifier(b"com.apple.ls"), APPLE), 'identifier "com.apple.ls" and anchor apple'),
        (identifier(b"deno"), "identifier deno"),
        (identifier(b"7zip"), 'identifier "7zip"'),
        (identifier(b'a"b\\c'), 'identifier "a\\"b\\\\c"'),
        (identifier(b"\x1b[2J"), "identifier 0x1b5b324a"),
        (either(both(TRUE, APPLE), GENERIC), "always and anchor apple or anchor apple generic"),
        (both(either(TRUE, APPLE), GENERIC), "(always or anchor apple) and anchor apple generic"),
        (word(9) + both(TRUE, APPLE), "! (always and anchor apple)"),
        (word(9) + APPLE, "! anchor apple"),
        (word(14) + word(0) + data(MARKER) + word(0), "certificate leaf[field.1.2.840.113635.100.6.1.13] /* exists */"),
        (word(14) + word(1) + data(MARKER) + word(14), "certificate 1[field.1.2.840.113635.100.6.1.13] absent "),
        (word(11) + word(0) + data(b"subject.OU") + word(1) + data(b"TEAM"), "certificate leaf[subject.OU] = TEAM"),
        (word(11) + word(-1) + data(b"subject.CN") + word(2) + data(b"x y"), 'certificate root[subject.CN] ~ "x y"'),
        (word(4) + word(-1) + data(bytes(20)), f'certificate root = H"{"00" * 20}"'),
        (word(12) + word(-2), "certificate -2 trusted"),
        (
            word(17) + word(0) + data(MARKER) + word(0),
            "certificate leaf[policy.1.2.840.113635.100.6.1.13] /* exists */",
        ),
        (
            word(22) + word(0) + data(MARKER) + word(11) + struct.pack(">q", 86400),
            "certificate leaf[timestamp.1.2.840.113635.100.6.1.13] > <2001-01-02 00:00:00Z>",
        ),
        (word(10) + data(b"CFBundleVersion") + word(8) + data(b"17.4"), 'info[CFBundleVersion] >= "17.4"'),
        (word(10) + data(b"Key") + word(3) + data(b"v"), "info[Key] = v*"),
        (word(5) + data(b"Key") + data(b"v"), "info[Key] = v"),
        (word(16) + data(b"com.apple.a") + word(0), "entitlement[com.apple.a] /* exists */"),
        (word(8) + data(b"\xab" * 20), f'cdhash H"{"ab" * 20}"'),
        (word(18) + data(b"name"), "anchor apple name"),
        (word(19) + data(b"name"), "(name)"),
        (word(13), "anchor trusted"),
        (word(20) + word(6), "platform = 6"),
        (word(21), "notarized"),
        (word(23), "legacy"),
        (both(word(0x80000063) + data(b"later"), TRUE), "false /* operation 99 */ and always"),
        (word(0x80000002) + data(b"deno"), "identifier deno"),
        (word(0x40000063) + data(b""), "true /* operation 99 */"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_operation_in_words(expression: bytes, text: str):
    assert read(requirements(expression)) == f"designated => {text}"


def test_each_type_has_its_line():
    text = read(requirements(TRUE, APPLE, FALSE, types=(3, 4, 9)))
    assert (text or "").splitlines() == ["designated => always", "library => anchor apple", "9 => never"]
    assert read(requirements()) is None


@pytest.mark.parametrize(
    "hostile",
    [
        memoryview(b""),
        memoryview(blob(0xFADE0C00, word(0))),
        memoryview(blob(0xFADE0C01, word(1))),
        memoryview(blob(0xFADE0C01, word(0xFFFFFFFF))),
        memoryview(blob(0xFADE0C01, word(1) + word(3) + word(0xFFFFFFF0))),
        requirements(TRUE, TRUE, TRUE, TRUE, TRUE, TRUE, TRUE, types=(1,) * 7),
        requirements(TRUE + b"more"),
        requirements(word(2) + word(0xFFFFFFFF)),
        requirements(word(99)),
        requirements(word(0x20000063) + data(b"")),
        requirements(word(10) + data(b"Key") + word(99)),
        requirements(word(22) + word(0) + data(MARKER) + word(11) + struct.pack(">q", 1 << 62)),
        requirements(word(14) + word(0) + data(b"\xff" * 40) + word(0)),
        requirements(word(14) + word(0) + data(b"") + word(0)),
        requirements(both(TRUE, b"")),
        memoryview(blob(0xFADE0C01, word(1) + word(3) + word(20) + requirement(TRUE, kind=2))),
    ],
)
def test_requirements_that_are_none(hostile: memoryview):
    with pytest.raises(StructureError):
        read(hostile)


def test_nesting_without_an_end_is_cut():
    with pytest.raises(StructureError, match="too deep"):
        read(requirements(word(9) * (MAX_DEPTH + 2) + TRUE))


def test_tree_that_doubles_is_cut():
    expression = TRUE
    for _ in range(12):
        expression = both(expression, expression)
    with pytest.raises(StructureError, match="too many parts"):
        read(requirements(expression))


def test_requirements_are_part_of_the_signature():
    recipe = Recipe(directories=(Directory(flags=ADHOC),), components={REQUIREMENTS: bytes(requirements(APPLE)[8:])})
    signature = verify(thin_slice(recipe.build()))
    assert (signature.status, signature.requirements) == ("valid", "designated => anchor apple")


def test_requirements_without_words_are_a_problem_and_not_a_broken_signature():
    recipe = Recipe(components={REQUIREMENTS: bytes(requirements(word(99))[8:])})
    signature = verify(thin_slice(recipe.build()))
    assert (signature.status, signature.requirements) == ("valid", "unknown")
    assert [problem.id for problem in signature.problems] == ["malformed"]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_text_or_an_objection(content: bytes):
    for hostile in (memoryview(content), requirements(content)):
        try:
            read(hostile)
        except StructureError:
            continue
