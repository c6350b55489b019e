"""Real programs by package name, from PyPI wheels, npm tarballs and Debian packages: fetched once, never committed.

    path = fetch(Package("npm", "@esbuild/darwin-arm64", "0.28.2"), "package/bin/esbuild")
    path = fetch(Package("pypi", "uv", "0.13.8", platform="macosx_11_0_arm64"), "*/scripts/uv")
    path = fetch(Package("deb", "coreutils"), "*/bin/ls")

What was fetched is kept in the user's cache folder (``binsafe/corpus``, see :func:`cache_folder`); workers and users of
one machine may call this at the same time. Nothing that is fetched is run, no package script either.
"""

import fcntl
import fnmatch
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import platformdirs

_SECONDS = 300
_MAX_MEMBER = 512 * 1024**2


class Package(NamedTuple):
    """A package of a registry; without a version, whatever is current (Debian keeps one only).

    ``platform`` chooses a wheel as ``pip download --platform`` does (``macosx_11_0_arm64``, ``win_amd64``,
    ``manylinux2014_x86_64``, ``musllinux_1_1_x86_64``), and a Debian package's architecture (``arm64``) where it is not
    this machine's; npm has it in the name.
    """

    registry: Literal["pypi", "npm", "deb"]
    name: str
    version: str = ""
    platform: str = ""


class NotFetched(Exception):
    """The registry's client failed, or the package has no such member; the message has the client's last words."""


def cache_folder() -> Path:
    """Where the corpus is kept."""
    return platformdirs.user_cache_path("binsafe") / "corpus"


def fetch(package: Package, member: str) -> Path:
    """The one file of a package whose path matches ``member`` (a shell pattern), as a file in the cache.

    Raises:
        NotFetched: there is no such package or member, or several members match.
    """
    archive = _archive(package)
    place = archive.parent / "members" / member.replace("/", "_").replace("*", "+")
    with _locked(archive.parent):
        if not place.exists():
            _write(place, _member(archive, member))
    return place


def archive(package: Package) -> Path:
    """The package itself (``.whl``, ``.tgz`` or ``.deb``) as a file in the cache."""
    return _archive(package)


def _archive(package: Package) -> Path:
    key = "-".join(part for part in (package.name.replace("/", "+"), package.version, package.platform) if part)
    folder = cache_folder() / package.registry / key
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        found = _files(folder)
        if not found:
            with tempfile.TemporaryDirectory(dir=folder.parent) as made:
                _download(package, Path(made))
                for fetched in _files(Path(made)):
                    fetched.rename(folder / fetched.name)
            found = _files(folder)
    if len(found) != 1:
        raise NotFetched(f"{package.name}: the client left {len(found)} archives")
    return found[0]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix in {".whl", ".tgz", ".deb"}]


def _download(package: Package, folder: Path) -> None:
    exact = {"pypi": "==", "npm": "@", "deb": "="}[package.registry]
    wanted = f"{package.name}{exact}{package.version}" if package.version else package.name
    platform = ("--platform", package.platform) if package.platform else ()
    command = {
        "pypi": (
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--only-binary=:all:", *platform, "--dest", ".", wanted),
        ),
        "npm": ("npm", "pack", "--silent", "--ignore-scripts", wanted),
        "deb": ("apt-get", *_foreign(package.platform), "download", "--quiet", wanted),
    }[package.registry]
    try:
        if package.registry == "deb" and package.platform:
            update = ("apt-get", *_foreign(package.platform), "update", "--quiet")
            subprocess.run(update, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=_SECONDS)
        subprocess.run(command, cwd=folder, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=_SECONDS)
    except FileNotFoundError as error:
        raise NotFetched(f"{package.name}: {command[0]} is not installed") from error
    except subprocess.CalledProcessError as error:
        words = (error.stderr or error.stdout).decode("utf-8", "replace").strip()[-500:]
        raise NotFetched(f"{package.name}: {words}") from error


def _foreign(architecture: str) -> tuple[str, ...]:
    """Lets apt know packages of another architecture, in folders of ours: the system's own lists stay as they are."""
    if not architecture:
        return ()
    state = cache_folder() / "apt" / architecture
    for folder in ("lists/partial", "archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
        "Dir::State": str(state),
        "Dir::State::status": str(state / "status"),
        "Dir::Cache": str(state),
    }
    return tuple(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))


def _member(archive: Path, pattern: str) -> bytes:
    names = {".whl": _in_wheel, ".tgz": _in_tarball, ".deb": _in_deb}[archive.suffix]
    found = list(names(archive, pattern))
    if len(found) != 1:
        raise NotFetched(f"{archive.name} has {len(found)} members that match {pattern}")
    return found[0]


def _in_wheel(archive: Path, pattern: str) -> Iterator[bytes]:
    with zipfile.ZipFile(archive) as wheel:
        for entry in wheel.infolist():
            if fnmatch.fnmatchcase(entry.filename, pattern) and entry.file_size <= _MAX_MEMBER:
                yield wheel.read(entry)


def _in_tarball(archive: Path, pattern: str) -> Iterator[bytes]:
    with tarfile.open(archive) as tar:
        yield from _in_tar(tar, pattern)


def _in_deb(archive: Path, pattern: str) -> Iterator[bytes]:
    unpacked = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", archive], check=True, capture_output=True, timeout=_SECONDS
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(unpacked)) as tar:
        yield from _in_tar(tar, pattern)


def _in_tar(tar: tarfile.TarFile, pattern: str) -> Iterator[bytes]:
    for entry in tar:
        if entry.isfile() and entry.size <= _MAX_MEMBER and fnmatch.fnmatchcase(entry.name, pattern):
            content = tar.extractfile(entry)
            if content is not None:
                yield content.read()


def _write(place: Path, content: bytes) -> None:
    place.parent.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as made:
        made.write(content)
    shutil.move(made.name, place)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time; the kernel lets go of the lock when the process ends, however it ends."""
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
