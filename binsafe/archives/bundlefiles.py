"""The files of a bundle that lies in an archive: kept in memory until all are there, as its seal is over all."""

from binsafe import formats
from binsafe.containers import Budget
from binsafe.signatures.bundle import Entry


class BundleFiles:
    """What :class:`binsafe.signatures.bundle.Files` asks for, and how deep in which archive they lie."""

    def __init__(self, budget: Budget, depth: int) -> None:
        self.budget = budget
        self.depth = depth
        self.entries: dict[str, Entry] = {}
        self.data: dict[str, bytes] = {}

    @property
    def may_be_one(self) -> bool:
        """Whether macOS may take it for a bundle all the same, by a link, an older layout, or small letters."""
        described = any(name.lower().endswith("info.plist") for name in self.entries)
        return described and any(
            formats.identify(data[: formats.HEAD_BYTES]) == "mach-o" for data in self.data.values()
        )

    def read(self, path: str, size: int | None = None) -> memoryview:
        """The bytes of a file, or its first ``size`` ones."""
        return memoryview(self.data[path])[:size]
