"""What each kind of finding means and what to do about it: the help that SARIF and HTML show beside it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Rule(NamedTuple):
    """A kind of finding, in one sentence each: what it is, and what to do."""

    summary: str
    help: str


_FETCH = "Fetch the file again from its maker, compare the checksum they publish, and do not run this one."
_SIGNER = "Ask the maker for a signed build, or run it only inside a profile (binsafe profile)."
_READ = "Nothing is known about what could not be read: do not run it outside a profile."

_RULES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "page-hash": ("Code was changed after it was signed.", _FETCH),
        "codedirectory": ("The signature's list of hashes is broken.", _FETCH),
        "info-plist-hash": ("The signed Info.plist is not the one in the file.", _FETCH),
        "requirements-hash": ("The signature's requirements were changed.", _FETCH),
        "entitlements-hash": ("The entitlements were changed after signing.", _FETCH),
        "resource-seal": ("Files beside the program were changed after signing.", _FETCH),
        "cms-digest": ("The signer's statement does not match the program.", _FETCH),
        "team-differs": ("It claims to be by another team than the one of its signer's certificate.", _FETCH),
        "cms-chain": ("The signer's certificate does not lead to a known root.", _SIGNER),
        "timestamp": ("The time of signing cannot be trusted.", _SIGNER),
        "appended-data": ("Data stands behind what is signed, loaded or unpacked; it can be changed freely.", _FETCH),
        "uncovered-bytes": ("Parts of the file are not covered by its signature.", _FETCH),
        "signature-slack": (
            "Bytes that no hash covers are left behind the signature.",
            "codesign leaves them, and nothing reads them; look at them if the program reads its own file.",
        ),
        "notarization-ticket": (
            "The notarization ticket is not Apple's word about this program.",
            "macOS goes on as if there were none; ask the maker for a copy with its own.",
        ),
        "quarantine-unknown": (
            "The mark of a file that was fetched cannot be read.",
            "Treat it as fetched from elsewhere; look at it: xattr -l FILE.",
        ),
        "dyld-environment": (
            "The file itself sets the loader's variables: libraries come from elsewhere than where it names them.",
            "See which libraries lie there; they run with it.",
        ),
        "extra-rights": (
            "It runs with another user's rights or the kernel's, whoever starts it.",
            "See whether what it is for needs them; binsafe run gives it none.",
        ),
        "administrator": (
            "Windows is asked to start it with an administrator's rights.",
            "See whether what it is for needs them, and refuse them otherwise.",
        ),
        "slices-differ": ("Slices of a universal file are not signed alike.", "Judge the file by its weakest slice."),
        "entitlements-differ": (
            "Slices or forms of the entitlements differ.",
            "What the system grants depends on the machine: compare the entitlements of each slice.",
        ),
        "entitlements-xml": (
            "The form of the entitlements that macOS 11 and earlier read is broken.",
            "Tell the maker; macOS 12 and later go by the other form.",
        ),
        "dangerous-entitlement": (
            "An entitlement weakens the program or the system.",
            "Ask the maker why it is needed; get-task-allow belongs into no release.",
        ),
        "entitlement": (
            "An entitlement lets the program reach further than others.",
            "See whether what it is for needs it.",
        ),
        "privileged-code": (
            "It runs in the kernel or in the firmware, where nothing confines it.",
            "Load it only if you trust who made it.",
        ),
        "carried-program": (
            "The file carries another program or an archive, which was not looked at.",
            "Unpack that and inspect it too.",
        ),
        "development-signed": ("It is signed for its developer's own devices, or to be handed in to a shop.", _SIGNER),
        "authenticode-digest": ("A Windows program was changed after it was signed.", _FETCH),
        "certificate-table-data": ("Data is hidden where the signature does not look.", _FETCH),
        "signature-invalid": ("The signature does not hold.", _FETCH),
        "signature-unknown": ("Who signed it could not be verified.", _SIGNER),
        "signer-unknown": ("No known root vouches for the signer.", _SIGNER),
        "weak-digest": ("The signature rests on SHA-1 alone, which lets two programs share it.", _SIGNER),
        "unsigned": ("Nobody vouches for the program, and a change to it would not show.", _SIGNER),
        "linker-signed": ("It is signed by the linker, which proves nothing about who made it.", _SIGNER),
        "adhoc-signed": ("It is signed without a certificate, which proves nothing about who made it.", _SIGNER),
        "truncated": ("The file ends before its headers say so.", _FETCH),
        "malformed": ("The file's structure breaks the rules of its format.", _FETCH),
        "overlapping-slices": ("Slices of a universal file lie over each other.", _FETCH),
        "section-table": ("The section table contradicts the file.", "Tools that rely on it see another program."),
        "parser-failed": ("The parser ended on this file; it may have been made to do that.", _READ),
        "script": ("It is a script: what runs is its interpreter.", "Read it."),
        "archive": ("It is an archive that is not read here.", "Unpack it and inspect what is in it."),
        "unknown-format": ("It is of no format that is read here.", _READ),
        "writable-code": ("Memory is writable and executable at once.", "An error in it is easier to exploit."),
        "library-path": (
            "Libraries are loaded from where others than its installer can put them.",
            "Build it with $ORIGIN or absolute paths; do not start it in a folder that you do not trust.",
        ),
        "network": ("It can use the network.", "Run it inside a profile that grants only the ports it needs."),
        "network-unknown": ("Whether it uses the network cannot be told.", "Run it inside a profile without network."),
        "syscalls-incomplete": (
            "Its list of system calls is not complete.",
            "Add what is missing with --allow-partial or from the violations of a run.",
        ),
        "direct-system-calls": (
            "It calls the kernel itself, past libSystem.",
            "Look at the code at these places: macOS programs have no need for it.",
        ),
        "archive-entry": ("An entry of an archive is not what archives are made of.", _FETCH),
        "archive-bomb": ("An archive unpacks to far more than it holds; the rest was not looked at.", _FETCH),
        "archive-damaged": ("An archive contradicts itself.", _FETCH),
        "archive-encrypted": ("Entries are encrypted and were not looked at.", "Unpack them and inspect the files."),
        "archive-depth": ("Archives inside of archives were not looked at.", "Unpack them and inspect the files."),
        "member-too-large": ("A file inside was too large to be looked at.", "Unpack it and inspect the file."),
        "install-hook": (
            "Installing a package runs commands of its own.",
            "Read them first; npm has --ignore-scripts. Python runs .pth files of what is installed at each start.",
        ),
        "no-executables": ("There is no executable in it.", "Nothing was judged: read what is in it."),
        "scripts": ("Scripts, byte code or a bundle's archives were not looked at.", "Read them, and unpack archives."),
        "empty": ("The file is empty.", _FETCH),
        "too-large": ("It is larger than what is looked at.", _READ),
        "library-missing": (
            "Libraries that it needs are not on this machine.",
            "Inspect it where they are, or name the folder that holds them: --root.",
        ),
        "language-unknown": ("The language it was written in cannot be told.", "Nothing: it says little about safety."),
        "go-build-unknown": (
            "Which modules a Go program was built from is not known.",
            "Ask the maker for a build that keeps its record (go version -m).",
        ),
        "parser-not-confined": (
            "This machine cannot confine the process that read the file.",
            "See what is missing: binsafe doctor. Inspect files that you distrust elsewhere.",
        ),
        "members-omitted": ("Not all members of an archive were looked at.", "Unpack it and scan the folder."),
    }
)
_ABLE = (
    "It can do something that few programs need.",
    "See whether what it is for needs that; binsafe run lets it do only what its policy grants.",
)
_UNKNOWN = ("A fact that a person should care about.", "Read the finding; run the program only inside a profile.")


def rule(identifier: str) -> Rule:
    """The help text of a kind of finding; a generic one where there is no more to say than its title."""
    return Rule(*_RULES.get(identifier, _ABLE if identifier.startswith("capability-") else _UNKNOWN))
