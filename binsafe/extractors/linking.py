"""What a dynamic program is linked with when it starts, and a finding where some of that is not here."""

from binsafe.extractors.subject import Extracted, Subject
from binsafe.model import Finding, ResolvedLibrary, Severity


def extract_interpreter(subject: Subject) -> Extracted[str | None]:
    """The dynamic loader that the program names."""
    named = subject.slice.traits.get("interpreter")
    return Extracted(named if isinstance(named, str) else None)


def extract_resolved(subject: Subject) -> Extracted[tuple[ResolvedLibrary, ...]]:
    """The library closure; empty where it was not looked up, as for programs of other systems."""
    resolved = () if subject.libraries is None else subject.libraries.resolved
    missing = [library for library in resolved if library.path is None]
    if not missing:
        return Extracted(resolved)
    named = ", ".join(f"{library.name} (needed by {library.needed_by})" for library in missing)
    finding = Finding(
        id="library-missing",
        severity=Severity.LOW,
        title="Libraries that it needs are not here",
        detail=f"It cannot start on this system, and what they would do is not known: {named}.",
    )
    return Extracted(resolved, (finding,))
