"""A bundle's nested code held against what the seal says of it: a cdhash, or a requirement."""

import msgspec
import pytest
from built_bundle import FRAMEWORK, Application, Memory

from binsafe.model import Signature, Signer
from binsafe.signatures import bundle, seal
from binsafe.signatures.bundle import Tree

APP = Application().build()

ANYBODYS = "identifier kit and anchor apple generic"
WORDS = f"{ANYBODYS} and certificate leaf[subject.OU] = TEAM123456"
RENEWED = Signature(
    kind="developer-id", status="valid", chain="apple-root", team_id="TEAM123456",
    requirements=f"designated => {WORDS}",
)  # fmt: skip
CDHASHES = [f"{digit}" * 40 for digit in range(3)]
SLICES = [Signature(kind="adhoc", status="valid", cdhashes=(cdhash,)) for cdhash in CDHASHES]


def breaks(listed: seal.Sealed, *slices: Signature) -> bool:
    """Whether nested code of these slices breaks a seal that lists it so."""
    sealed = seal.Seal(version=2, names={"Frameworks/Kit.framework": listed}, unusual=())
    tree = Tree(Memory({path: one for path, one in APP.items() if "MacOS" in path or FRAMEWORK in path}))
    outer = bundle.find(tree, name="App.app")
    assert outer is not None
    return bool(seal.check(sealed, outer, tree, {FRAMEWORK: slices}).problems)


def test_nested_code_that_its_signer_renewed():
    """macOS asks nested code for its requirement alone, so that a framework can be updated in place."""
    listed = seal.Sealed(cdhash=b"\1" * 20, requirement=WORDS)
    assert not breaks(listed, RENEWED)
    assert breaks(listed, Signature(kind="adhoc", status="valid", requirements=RENEWED.requirements))
    assert breaks(listed, msgspec.structs.replace(RENEWED, status="invalid"))


@pytest.mark.parametrize("quoted", ["TEAM123456", '"1TEAM23456"'], ids=["plain", "quoted"])
def test_nested_code_of_another_team_that_copied_the_requirement(quoted: str):
    words = f"{ANYBODYS} and certificate leaf[subject.OU] = {quoted}"
    listed = seal.Sealed(cdhash=b"\1" * 20, requirement=words)
    renewed = msgspec.structs.replace(RENEWED, requirements=f"designated => {words}")
    assert not breaks(listed, msgspec.structs.replace(renewed, team_id=quoted.strip('"')))
    assert breaks(listed, msgspec.structs.replace(renewed, team_id="OTHER12345"))
    assert breaks(listed, msgspec.structs.replace(renewed, team_id=None))


@pytest.mark.parametrize(
    ("words", "whose"),
    [
        ('identifier "com.apple.Kit" and anchor apple', {"kind": "apple"}),
        (
            f'{ANYBODYS} and certificate leaf[subject.CN] = "Mac Developer: A (1B)"',
            {"signers": (Signer(common_name="Mac Developer: A (1B)", organization=None, not_after="2031-12-31"),)},
        ),
        (ANYBODYS, None),
    ],
    ids=["Apple", "a developer", "anybody"],
)
def test_nested_code_of_anybody_that_copied_a_requirement_without_a_team(words: str, whose: dict[str, object] | None):
    listed = seal.Sealed(cdhash=b"\1" * 20, requirement=words)
    copied = msgspec.structs.replace(RENEWED, requirements=f"designated => {words}")
    assert breaks(listed, copied)
    assert whose is None or not breaks(listed, msgspec.structs.replace(copied, **whose))


def test_every_slice_of_nested_code_is_held_against_the_seal():
    """codesign checks all architectures: which slice runs is the machine's choice."""
    first = bytes.fromhex(CDHASHES[0])
    assert not breaks(seal.Sealed(cdhash=first, requirement="identifier x"), SLICES[0])
    assert breaks(seal.Sealed(cdhash=first, requirement="identifier x"), *SLICES[:2])
    both = seal.Sealed(cdhash=first, requirement=" or ".join(f'cdhash H"{cdhash}"' for cdhash in CDHASHES[:2]))
    assert not breaks(both, *SLICES[:2])
    assert breaks(both, *SLICES)
    assert breaks(both), "no slice could be read"
    assert not breaks(seal.Sealed(cdhash=first, requirement=WORDS), SLICES[0], RENEWED)


@pytest.mark.parametrize(
    "words", ['! cdhash H"{}"', 'cdhash H"{}" and identifier x', '(cdhash H"{}")', '"cdhash H"{}""']
)
def test_other_requirements_with_a_hash_in_them_are_not_taken_for_a_list(words: str):
    assert breaks(seal.Sealed(requirement=words.replace("{}", CDHASHES[0])), SLICES[0])
