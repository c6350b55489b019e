"""Signatures with a CMS structure of our own, checked: what the tests of them share."""

from dataclasses import replace

from signed_cms import Signing, anchors
from signed_macho import RUNTIME, SHA1, Directory, Recipe, thin_slice

from binsafe.model import Signature
from binsafe.signatures import verify
from binsafe.signatures.anchors import Anchors

SIGNING = Signing()
SIGNED = Recipe(directories=(Directory(flags=RUNTIME, team=b"TEAM123456"),), cms=SIGNING)
DUAL = replace(SIGNED, directories=(Directory(hash=SHA1, flags=RUNTIME), Directory(flags=RUNTIME)))


def check(data: bytes, believed: Anchors | None = None) -> Signature:
    return verify(thin_slice(data), believed or anchors())


def signed(**changes: object) -> Signature:
    return check(replace(SIGNED, cms=replace(SIGNING, **changes)).build())


def problems(signature: Signature) -> set[str]:
    return {problem.id for problem in signature.problems}
