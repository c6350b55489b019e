"""bandit_runner dashboard: live and stored runs in the browser."""

import errno
import socket
from pathlib import Path

import click

from bandit_runner.cli.storing import chosen, store_option
from binsafe.cli.entry import note


@click.command(
    "dashboard",
    short_help="Show live and stored runs in the browser, until Ctrl-C.",
    epilog="""\b
Examples:
  bandit_runner dashboard
  bandit_runner dashboard --port 9090 --store old.sqlite
  bandit_runner dashboard --host 0.0.0.0    (others may look, with the token)""",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen on; 0 lets the system choose.",
)
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; beyond loopback every client needs the token.",
)
@click.option(
    "--token",
    metavar="TOKEN",
    help="What every client must send, of letters and digits; made up where the host needs one and none is given.",
)
@click.option(
    "--watched", type=int, hidden=True, help="A descriptor: when its other end closes, so does the dashboard."
)
@store_option
def command(*, port: int, host: str, token: str | None, watched: int | None, store: Path | None) -> None:
    """Show what runs now and how stored runs went, until Ctrl-C. It reads the store of runs and changes nothing."""
    awaited = False
    if watched is not None:
        from bandit_runner.dashboard.watching import end_with

        end_with(watched)  # before what takes seconds to load: whoever started us may be leaving already
    else:
        awaited = _is_awaited(
            chosen(store)
        )  # no store stops a play, nor the dashboard beside it, whose pages say what is wrong
    from bandit_runner.dashboard.app import serve
    from bandit_runner.dashboard.guard import TOKEN, is_loopback

    if token is not None and TOKEN.fullmatch(token) is None:
        why = "use ASCII letters, digits, '.', '_', '~' and '-'" if token else 'it is empty; is a "$VARIABLE" not set?'
        raise click.BadParameter(why, param_hint="--token")
    if token is None and not is_loopback(host):
        import secrets

        token = secrets.token_urlsafe(16)
    with _listening(host, port) as listener:
        bound = listener.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        asked = f"?token={token}" if token else ""

        def tell() -> None:
            note(f"dashboard http://{shown}:{bound}/{asked}")
            if awaited:
                note(f"there is no store of runs at {chosen(store)} yet: it waits until bandit_runner start makes one")

        serve(chosen(store), listener, host=host, token=token, started=tell)


def _is_awaited(path: Path) -> bool:
    """Whether the file is not there, or is empty still, and may become a store of runs; one that is none is refused."""
    from bandit_runner.runs import Store
    from bandit_runner.runs.opening import explaining

    with explaining(path):
        awaited = not path.exists() or (path.is_file() and path.stat().st_size == 0)
    if not awaited:
        Store.open(path).close()
    return awaited


def _listening(host: str, port: int) -> socket.socket:
    from bandit_runner.errors import PortTaken, UsageError

    try:
        family = socket.AF_INET6 if _is_ipv6(host) else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(f"port {port} is taken", hint="choose another with --port", port=port) from error
        if error.errno == errno.EACCES:
            hint = "choose one from 1024 on with --port; 0 lets the system choose"
            raise UsageError(f"port {port} may not be listened on: {error.strerror}", hint=hint) from error
        raise UsageError(f"cannot listen on {host}: {error.strerror}", hint="try --host 127.0.0.1") from error


def _is_ipv6(host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False
