"""How a step inside that cannot be done becomes a message to the supervisor. Imports no more than ``stage`` does."""

from binsafe.sandbox.linux import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    Plan = dict[str, Any]
    Tell = Callable[[bytes], object]


class Failed(Exception):
    """A step could not be done; ``step`` names it in words that the doctor explains."""

    def __init__(self, step: str, error: OSError) -> None:
        super().__init__(step)
        self.report = messages.encode("failed", step, error.errno or 0, error)


class step:  # noqa: N801 - reads as a statement: with step("mounts")
    """Name the step that is being taken, so that an error says which part of the sandbox failed."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: "type[BaseException] | None", error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        if isinstance(error, OSError):
            raise Failed(self._name, error) from error


def guarded(body: "Callable[[], int]", tell: "Tell") -> int:
    """Run a body and turn whatever goes wrong into a message to the supervisor."""
    try:
        return body()
    except Failed as failure:
        tell(failure.report)
    except OSError as error:
        tell(Failed("stage", error).report)
    except BaseException as error:  # noqa: BLE001 - nothing may unwind into another process's code
        tell(messages.encode("failed", "stage", 0, repr(error)))
    return 1
