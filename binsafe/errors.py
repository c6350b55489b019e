"""Everything that can go wrong, one class per cause, each with the exit status that the commands give it.

    BinsafeError
    ├── UsageError            2    the command line, a baseline or a policy asks for something that cannot be
    │   ├── BaselineError          a baseline or policy file says something we do not understand
    │   └── CannotExpress          a mechanism has no words for a grant
    ├── NotAnalysable         3    the bytes are not something we can judge: do not run them
    ├── NotEnforceable        125  this machine cannot hold the policy, or the user did not agree
    │   ├── MechanismRefused       ... but another backend may
    │   └── FileChanged            a library has changed since it was inspected
    ├── OutputLost            125  a program ran, and what it wrote could not be written where it goes
    ├── NotExecutable         126  another system's or processor's program, or a script
    └── NotFound              127  there is no such file

Every error carries a hint: what to do next.
"""

from typing import ClassVar


class BinsafeError(Exception):
    """The base of all errors that binsafe raises on purpose."""

    exit_status: ClassVar[int] = 2

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(BinsafeError):
    """The request itself cannot be met."""


class BaselineError(UsageError):
    """A baseline or policy file holds a key or value that has no meaning; nothing of it is used."""


class CannotExpress(UsageError):
    """A mechanism cannot express a grant, and a wider rule was not asked for."""


class NotAnalysable(BinsafeError):
    """The artifact could not be analysed, so nothing is known about it: never an 'ok'."""

    exit_status = 3

    def __init__(self, message: str, *, hint: str, finding: str = "malformed") -> None:
        super().__init__(message, hint=hint)
        self.finding = finding


class NotEnforceable(BinsafeError):
    """The policy cannot be enforced here, or starting was refused."""

    exit_status = 125


class MechanismRefused(NotEnforceable):
    """This machine refuses what a backend is made of; another backend may do."""


class FileChanged(NotEnforceable):
    """A file that runs with the program is not the one that the policy was derived from."""


class OutputLost(BinsafeError):
    """A program's output did not get where it goes; its own status would say that all went well, or something else."""

    exit_status = 125


class NotExecutable(BinsafeError):
    """The artifact is no program of this machine's system and processor."""

    exit_status = 126


class NotFound(BinsafeError):
    """No artifact has that name."""

    exit_status = 127
