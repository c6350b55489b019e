"""A whole signature to change one thing of, and what is said of it."""

from signed_macho import DER, NO_REQUIREMENTS, REQUIREMENTS, SHA1, XML, Directory, Recipe, thin_slice

from binsafe.model import Signature
from binsafe.signatures import verify

PLIST = b'<?xml version="1.0"?><plist version="1.0"><dict><key>a</key><true/></dict></plist>'
DER_A_TRUE = bytes.fromhex("700d020101b00830060c01610101ff")
FULL = Recipe(
    directories=(
        Directory(hash=SHA1, runtime=0x0D0100),
        Directory(runtime=0x0D0100),
    ),
    info_plist=PLIST,
    components={REQUIREMENTS: NO_REQUIREMENTS, XML: PLIST, DER: DER_A_TRUE},
)
FLAGS_AT, LIMIT_AT = 12, 32


def check(data: bytes) -> Signature:
    return verify(thin_slice(data))


def problems(signature: Signature) -> set[str]:
    return {problem.id for problem in signature.problems}
