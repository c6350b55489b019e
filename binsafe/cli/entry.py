"""What the commands say to the person who waits, on standard error."""

import sys

import click


def complain(name: str, message: str, hint: str) -> None:
    """One line for what is wrong, one for what to do."""
    from binsafe.reports.escape import escape

    click.echo(f"{name}: {escape(message)}", err=True)
    click.echo(f"  hint: {escape(hint)}", err=True)


def note(message: str) -> None:
    """A line for the person who waits, on standard error."""
    click.echo(message, sys.stderr, err=True)  # the object, not what is below it: a progress bar may stand in for it
