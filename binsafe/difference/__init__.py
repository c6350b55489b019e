"""Two reports -> what the new program can do that the old one could not. Pure; nothing for a report and itself.

    pairing      which slice and which member of an archive is the old one's successor
    abilities    what it can do: network, capabilities, system calls
    trust        who vouches for it, what it may ask for, how it is protected
    makeup       what it is made of: libraries, dependencies, tools, texts
    changes      what these tell
    comparing    all of it, for whole reports
    summary      the one sentence that matters most
    reasons      what ``--fail-on`` takes

What is not known on one side is no change and no absence of one: it stands under ``not_compared``, and what was ruled
out before and cannot be ruled out any more is a change.
"""

from binsafe.difference.comparing import compare
from binsafe.difference.reasons import IDS, matches, undecided

__all__ = ["IDS", "compare", "matches", "undecided"]
