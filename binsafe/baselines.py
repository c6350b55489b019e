"""Finds baselines: those that are shipped, by name, and those of the user's, by path. Shell: reads files."""

from pathlib import Path

from binsafe.errors import BaselineError
from binsafe.policy.baseline import Baseline
from binsafe.policy.parsing import parse
from binsafe.policy.yamlnodes import MAX_CHARACTERS
from binsafe.shipped import shipped

_SUFFIX = ".yaml"


def available() -> tuple[str, ...]:
    """The names of the shipped baselines, sorted."""
    return tuple(sorted(entry.stem for entry in shipped("baselines").glob(f"*{_SUFFIX}")))


def load(name_or_path: str) -> Baseline:
    """A shipped baseline by name, or one from a file: a name with a slash or ending in ``.yaml`` is a path.

    Raises:
        BaselineError: there is none, it cannot be read, or it says something that has no meaning.
    """
    return _load(name_or_path, ())


def _load(name_or_path: str, extending: tuple[str, ...]) -> Baseline:
    """``extending`` are those that led here, each by its `extends`."""
    if name_or_path in extending:
        circle = " -> ".join((*extending, name_or_path))
        raise BaselineError(f"{circle}: a baseline extends itself", hint="a chain of `extends` must end")
    by_path = "/" in name_or_path or name_or_path.endswith(_SUFFIX)
    if not by_path and name_or_path not in available():
        raise BaselineError(
            f"there is no baseline {name_or_path!r}",
            hint=f"shipped: {', '.join(available())}; or name a file: ./{name_or_path}{_SUFFIX}",
        )
    origin = name_or_path if by_path else name_or_path + _SUFFIX
    text = _read(Path(origin) if by_path else shipped("baselines") / origin, origin)
    baseline = parse(text, origin, lambda name: _load(name, (*extending, name_or_path)))
    if not by_path and baseline.name != name_or_path:
        raise BaselineError(f"{origin}: calls itself {baseline.name!r}", hint="a shipped one is named as its file")
    return baseline


def _read(file: Path, origin: str) -> str:
    if not file.is_file():  # opening a FIFO would wait for its other end
        raise BaselineError(f"{origin}: no such file", hint=f"shipped: {', '.join(available())}; or name a YAML file")
    try:
        with file.open("rb") as stream:
            content = stream.read(4 * MAX_CHARACTERS + 1)
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise BaselineError(f"{origin}:1:1: no UTF-8 text", hint="expected a baseline in YAML") from None
    except OSError as problem:
        raise BaselineError(f"{origin}: {problem.strerror}", hint="name a baseline or a readable YAML file") from None
