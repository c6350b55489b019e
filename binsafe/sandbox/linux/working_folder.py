"""The folder that a user started a program in, where it is not there inside.

The program starts in / instead, and what it names from there was meant from that folder.
"""

import os
import posixpath

from binsafe.sandbox.linux.elsewhere import may_exist
from binsafe.sandbox.linux.given import Given
from binsafe.sandbox.linux.offering import Miss, option


class WorkingFolder:
    """Says what a path would have been there. An empty one stands for a folder that is there inside as well."""

    def __init__(self, path: str, given: Given) -> None:
        self._path = path
        self._given = given
        self._is_home = path == os.path.expanduser("~")

    def relative(self, path: str, text: str) -> str:
        """What was written for a path where that is relative, or was made absolute from / and climbs; else empty."""
        if not self._path or not text or (text.startswith("/") and not text.startswith("/../")):
            return ""
        return text if path == posixpath.normpath(f"/{text.lstrip('/')}") else ""

    def meant(self, path: str, relative: str = "") -> str:
        """What a path would be, had the program started there; empty where it is the same.

        Many make absolute what they are told, from / then: that is so where the host has nothing of the path there.
        Hidden files are those of a user who has no home, but for such as that folder has (git looks for .git).
        """
        if not self._path:
            return ""
        if relative:
            return posixpath.normpath(f"{self._path}/{relative}")
        first = path.split("/")[1]
        hidden = first.startswith(".") and (self._is_home or not may_exist(f"{self._path}/{first}"))
        elsewhere = hidden or (first and may_exist(f"/{first}"))
        return "" if elsewhere else posixpath.normpath(f"{self._path}/{path}")

    def as_meant(self, path: str, relative: str, missed: Miss) -> Miss:
        """What was missed, as the user means it who started the program there."""
        meant = self.meant(path, relative)
        if not meant:
            return missed
        found = self._missed_there(meant, missed)
        usual = missed.expected and not relative  # Python lists the folder that it is in, and says which that is
        return missed._replace(grant=found.grant) if usual else found

    def _missed_there(self, path: str, missed: Miss) -> Miss:
        """The same with the path that was meant, where the host has anything there."""
        granted = self._given.holds(path) and not self._given.hides(path)
        if not may_exist(posixpath.dirname(path) if missed.writes else path):
            return missed._replace(there=missed.there and not missed.writes)
        if missed.writes and not granted:
            return Miss(path, option(path, writes=True), expected=False, there=True, writes=True)
        wanted = self._path if granted else path  # to start it where such names lead somewhere
        return Miss(path, option(wanted, writes=False), expected=False, there=True)
