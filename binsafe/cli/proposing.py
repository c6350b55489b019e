"""Asking a person about the grants that a report of violations would need; without a person nothing is granted."""

import sys
from pathlib import Path

import click

from binsafe.cli.asked import Asked
from binsafe.cli.entry import note


def propose(report: Path, asked: Asked) -> Asked:
    """The request with each proposal added that the user on the terminal accepted.

    Without a terminal the options are printed and nothing is added.

    Raises:
        BaselineError: the file is no report of violations.
    """
    from binsafe.policy.proposals import proposals
    from binsafe.reports.escape import shell_word

    with report.open(encoding="utf-8", errors="replace") as lines:
        found = proposals(lines, str(report))
    new = [proposal for proposal in found if proposal.value not in getattr(asked, proposal.option)]
    if not new:
        note(f"{report}: nothing that a grant would allow")
        return asked
    somebody = sys.stdin.isatty() and sys.stderr.isatty()
    accepted: dict[str, tuple[str, ...]] = {}
    for number, proposal in enumerate(new, 1):
        note(f"{number} of {len(new)}: {' '.join(map(shell_word, proposal.words))}")
        note(f"    {proposal.reason}")
        if somebody and click.confirm("    grant it?", default=False, err=True):
            field = proposal.option
            accepted[field] = (*accepted.get(field, getattr(asked, field)), proposal.value)
    if not somebody:
        note("nothing of this was granted: nobody is there to ask. To grant what you agree with, add its option")
    return Asked(**{**asked._asdict(), **accepted})
