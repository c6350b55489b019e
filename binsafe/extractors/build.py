"""How the program was made: Go's and Rust's own records, and what the linker wrote into the headers."""

from binsafe.errors import NotAnalysable
from binsafe.extractors import rustaudit
from binsafe.extractors.subject import Extracted, Subject
from binsafe.model import Build, Finding, GoBuild, RustBuild, Severity, Slice

_MAX_TOOLCHAIN = 300


def extract(subject: Subject) -> Extracted[Build]:
    """The build facts; findings where a record was removed or cannot be read."""
    slice_ = subject.slice
    go, go_findings = _go(subject)
    rust, rust_findings = _rust(slice_)
    value = Build(
        go=go,
        rust=rust,
        toolchain=_toolchain(slice_, go),
        sdk=_text(slice_, "sdk"),
        minimum_os=_text(slice_, "minimum_os"),
        uuid=_text(slice_, "uuid"),
        build_id=_text(slice_, "build_id"),
    )
    return Extracted(value, (*go_findings, *rust_findings))


def _go(subject: Subject) -> tuple[GoBuild | None, tuple[Finding, ...]]:
    if subject.go is not None or not subject.is_go:
        return subject.go, ()
    finding = Finding(
        id="go-build-unknown",
        severity=Severity.INFO,
        title="Its Go version and modules are unknown",
        detail="It is a Go program, and the record that Go's linker makes of them was removed or cannot be read.",
    )
    return GoBuild(version="unknown"), (finding,)


def _rust(slice_: Slice) -> tuple[RustBuild | None, tuple[Finding, ...]]:
    try:
        return rustaudit.read(slice_), ()
    except NotAnalysable as error:
        title = "Its list of crates cannot be read"
        return None, (Finding(id=error.finding, severity=Severity.LOW, title=title, detail=str(error)),)


def _toolchain(slice_: Slice, go: GoBuild | None) -> str | None:
    """The compilers' own words in ``.comment``, what the headers say, or Go's version."""
    section = slice_.section(".comment")
    if section is not None:
        texts = bytes(slice_.contents(section)[: 16 * _MAX_TOOLCHAIN]).split(b"\0")
        unique = dict.fromkeys(text.decode("utf-8", "replace") for text in texts if text)
        if unique:
            return "; ".join(unique)[:_MAX_TOOLCHAIN]
    return _text(slice_, "toolchain") or (go.version if go is not None and go.version != "unknown" else None)


def _text(slice_: Slice, trait: str) -> str | None:
    """A header fact as text; None where the format has no such field or it is empty."""
    value = slice_.traits.get(trait)
    return str(value) if isinstance(value, str) and value else None
