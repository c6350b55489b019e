"""The lines of a scan in a file: written one by one, and read again by a scan that goes on where one ended."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from binsafe.intake.finding import readable
from binsafe.scan.examining import Known, Outcome
from binsafe.scan.overview import for_sarif
from binsafe.scan.walking import Target


def line(outcome: Outcome) -> str:
    """The outcome as one line of JSON; ASCII only, so that nothing in it steers a terminal."""
    import json  # msgspec writes UTF-8

    built = msgspec.json.decode(msgspec.json.encode(outcome))
    return json.dumps(built, ensure_ascii=True, separators=(",", ":")).replace("\x7f", "\\u007f") + "\n"


def resume(path: Path) -> list[Outcome]:
    """What an earlier scan has written; a last line that was torn is taken out of the file, as are damaged ones.

    Raises:
        OSError: it cannot be read or written.
    """
    if not path.exists():
        return []
    kept: list[Outcome] = []
    good = 0
    with path.open("rb+") as stream:
        for raw in stream:
            try:
                kept.append(_brief(msgspec.json.decode(raw, type=Outcome)))
            except (msgspec.MsgspecError, UnicodeDecodeError):
                break
            if not raw.endswith(b"\n"):
                kept.pop()
                break
            good += len(raw)
        stream.truncate(good)
        stream.flush()
        os.fsync(stream.fileno())
    return kept


def _brief(outcome: Outcome) -> Outcome:
    """What a summary needs of it: there may be a hundred thousand."""
    if outcome.report is None:
        return outcome
    return msgspec.structs.replace(outcome, report=msgspec.structs.replace(for_sarif(outcome.report), slices=()))


def left(
    targets: Iterable[Target], done: Iterable[Outcome], known: Known, keep: Callable[[Outcome], None]
) -> Iterator[Target]:
    """The targets that have no outcome among ``done``; ``keep`` is told those of the others.

    A line about a file that has changed or gone since says nothing any more. ``known`` learns which bytes were seen.
    A name that had to be escaped could be another file's: such a file is looked at again.
    """
    outcomes = {(outcome.path, outcome.size, outcome.changed): outcome for outcome in done}
    for target in targets:
        outcome = outcomes.get((target.path, target.size, target.changed))
        if outcome is None or readable(target.path) != target.path:
            yield target
        else:
            keep(outcome)
            if outcome.report is not None:
                known.claim(outcome.report.artifact.sha256, outcome.path)
