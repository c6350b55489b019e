"""binsafe doctor: what this machine can enforce."""

import click


@click.command(
    "doctor",
    short_help="Find out what this machine can enforce.",
    epilog="""\b
Examples:
  binsafe doctor
  binsafe doctor --json""",
)
@click.option("--json", "as_json", is_flag=True, help="Print binsafe.doctor/1.")
def command(*, as_json: bool) -> int:
    """Try out what this machine can enforce, and say what it cannot, why, and what would change that.

    Exit status: 0 where programs can be run sandboxed, 125 where not.
    """
    import msgspec

    from binsafe.sandbox import diagnose

    diagnosis = diagnose()
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(diagnosis), indent=2))
    else:
        for backend in (*diagnosis.backends, diagnosis.parsing):
            click.echo(f"{backend.name:<14}{backend.enforcement}")
            for gap in backend.gaps:
                click.echo(f"  {gap.id}: {gap.reason}")
                if gap.fix:
                    click.echo(f"    fix: {gap.fix}")
        click.echo(f"default       {diagnosis.default or 'none: nothing can be run sandboxed here'}")
    return 0 if diagnosis.default else 125
