"""How commands that look at something end: statuses of their processes, and what `--fail-on` makes of findings."""

FINDINGS = 1
NOT_ANALYSED = 3
SEVERITIES = ("info", "low", "medium", "high", "critical")


def reaches(worst: int, fail_on: str) -> bool:
    """Whether the worst of findings, by its `Severity.rank`, is as severe as ``--fail-on`` says."""
    return fail_on != "none" and worst >= SEVERITIES.index(fail_on)
