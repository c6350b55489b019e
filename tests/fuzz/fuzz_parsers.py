"""Coverage-guided fuzzing of our own parsers with atheris: ``python tests/fuzz/fuzz_parsers.py TARGET``.

Each target takes any bytes, and may raise the one exception that its parser is documented to raise. What atheris finds
is written to the current folder; arguments behind the name are libFuzzer's (``-max_total_time=60``).
"""

import sys
from collections.abc import Callable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

with atheris.instrument_imports(include=["binsafe"]):
    from binsafe import formats
    from binsafe.errors import BinsafeError
    from binsafe.extractors import gobuild
    from binsafe.formats import gopclntab
    from binsafe.model import Slice
    from binsafe.signatures import (
        bundle,
        certificates,
        cms,
        codedirectory,
        der,
        entitlements,
        requirements,
        seal,
        verify,
    )
    from binsafe.signatures import superblob as superblobs
    from binsafe.signatures.structure import StructureError


def image(data: memoryview) -> None:
    for part in formats.parse(data).slices:
        verify(part)
        gopclntab.functions(part)
        gobuild.read(part)


def signature(data: memoryview) -> None:
    """A Mach-O slice that is nothing but its signature, and a PE file whose table starts where its header ends."""
    verify(_slice("mach-o", data, (0, len(data))))
    verify(_slice("pe", data, (min(len(data), 0x200), max(len(data) - 0x200, 0))))


def _slice(format_: str, data: memoryview, signature_range: tuple[int, int]) -> Slice:
    return Slice(
        format=format_, arch="arm64", bits=64, byte_order="little", system="macos", kind="executable",
        linkage="dynamic", entry=0, data=data, segments=(), sections=(), libraries=(), rpaths=(), imports=(),
        symbols=(), traits={}, signature_range=signature_range,
    )  # fmt: skip


def structures(data: memoryview) -> None:
    """The parts of a signature, the first byte saying which: alone they are reached sooner than inside of one."""
    readers: tuple[Callable[[memoryview], object], ...] = (
        lambda rest: codedirectory.read_all(superblobs.read(rest)),
        requirements.read,
        cms.read,
        lambda rest: cms.read_time_stamp(bytes(rest)),
        lambda rest: cms.read_signer(bytes(rest), ()),
        lambda rest: entitlements.read(rest, rest),
        lambda rest: certificates.load([bytes(rest)]),
        lambda rest: list(der.elements(rest)),
    )
    if data:
        readers[data[0] % len(readers)](data[1:])


def seals(data: memoryview) -> None:
    bundle.find(bundle.Tree(_OneFile(data)), name="X.app")
    seal.read(data)


class _OneFile:
    """A tree with one file, an Info.plist."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.entries = {"Contents/Info.plist": bundle.Entry(kind="file", size=len(data))}

    def read(self, _: str, size: int | None = None) -> memoryview:
        return self.data[:size]


TARGETS: dict[str, Callable[[memoryview], None]] = {
    "image": image,
    "signature": signature,
    "structures": structures,
    "seals": seals,
}


def main() -> None:
    target = TARGETS[sys.argv.pop(1)]

    def attempt(data: bytes) -> None:
        try:
            target(memoryview(data))
        except (BinsafeError, StructureError):
            return

    atheris.Setup(sys.argv, attempt)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
