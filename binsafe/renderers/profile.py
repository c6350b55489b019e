"""What a renderer returns, and what several of them cannot express."""

from collections.abc import Iterator

import msgspec

from binsafe.errors import CannotExpress
from binsafe.model import Gap, Policy


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A policy written for one mechanism, and what that mechanism cannot express of it."""

    mechanism: str
    text: str
    gaps: tuple[Gap, ...] = ()


def comment(text: str, sign: str = "#") -> str:
    """A comment of one line, whatever the text: a line break would let it go on as rules."""
    return f"{sign} " + "".join(character if character.isprintable() else "?" for character in text)


def writable_all_the_same(policy: Policy) -> Iterator[tuple[str, str]]:
    """What is granted to be read alone, and the granted folder that it lies in, which may be written.

    A mount over a part of a folder holds that; rules that only ever add rights do not.
    """
    folders = [grant.object for grant in policy.of("write") if not grant.access]
    for grant in policy.of("read"):
        if not grant.access and grant.object not in folders:
            above = (folder for folder in folders if grant.object.startswith(f"{folder.rstrip('/')}/"))
            yield from ((grant.object, folder) for folder in above)


def widened(policy: Policy, mechanism: str, *, allow_partial: bool) -> Iterator[Gap]:
    """The gaps where a mechanism's rules only ever add rights, see above.

    Raises:
        CannotExpress: there are some, and ``allow_partial`` was not asked for.
    """
    for path, folder in writable_all_the_same(policy):
        if not allow_partial:
            raise CannotExpress(
                f"{path} lies in {folder}, and {mechanism} takes back no right below a folder that has it",
                hint="grant the folders beside it to be written, or add --allow-partial to let it be written as well",
            )
        yield Gap(id=f"{mechanism}-read-only", reason=f"{path} may be written as well: it lies in {folder}")
