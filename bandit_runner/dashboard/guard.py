"""Who may ask. A page elsewhere must neither read nor drive a dashboard that listens on the user's own machine.

Three attacks are meant (see the Fetch standard and "DNS rebinding"): a page that fetches http://127.0.0.1:8080 itself
(its Origin gives it away), one whose own name was made to resolve to 127.0.0.1 (its Host gives it away), and, where
the dashboard listens beyond loopback, whoever is on that network (who has no token). Web sockets are held to the same.
"""

import hmac
import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE: Final = "bandit_runner_token"
LOOPBACK_NAMES: Final = frozenset({"localhost"})

TOKEN: Final = re.compile(r"[A-Za-z0-9._~-]+")
"""What stands for itself in an address (RFC 3986, section 2.3) and in a cookie. An empty one would be known to all."""

_CONTENT_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws: wss:; object-src 'none';"
    " base-uri 'self'; frame-ancestors 'none'; form-action 'self'"
)
"""NiceGUI's pages need inline scripts and Vue's compiler; all else is this origin's."""

SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", _CONTENT_POLICY.encode()),
)


class Guard:
    """An ASGI application around another that refuses strangers.

    Args:
        inner: what is guarded.
        port: that it listens on; any other port in a Host or Origin is another site.
        host: that it listens on; beyond loopback ``token`` must be given.
        token: asked of everybody, as ``?token=`` once (a cookie then remembers it) or as ``Authorization: Bearer``.

    Raises:
        ValueError: the token is missing where one is needed, or is none (`TOKEN`).
    """

    def __init__(self, inner: Application, *, port: int, host: str = "127.0.0.1", token: str | None = None) -> None:
        if token is None and not is_loopback(host):
            raise ValueError("beyond loopback a token is needed")
        if token is not None and TOKEN.fullmatch(token) is None:
            raise ValueError("a token is made of ASCII letters, digits, '.', '_', '~' and '-'")
        self._inner = inner
        self._port = port
        self._names = LOOPBACK_NAMES if is_loopback(host) else None
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        if scope["type"] not in {"http", "websocket"}:
            await self._inner(scope, receive, send)
            return
        headers = _headers(scope)
        if not scope["path"].isprintable():  # names that are not found are logged, and could steer a terminal
            await _refuse(scope, receive, send, 400, "no page has such a name")
        elif not self._is_ours(headers.get("host", ""), default=80):
            await _refuse(scope, receive, send, 421, "this name is not the dashboard's")
        elif ("origin" in headers and not self._is_same_origin(headers)) or (
            headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate"
        ):
            await _refuse(scope, receive, send, 403, "another site asks")
        elif self._token is not None and not self._knows_token(scope, headers):
            await _refuse(scope, receive, send, 401, "open the address with ?token= that was printed at the start")
        else:
            await self._inner(scope, receive, _with_headers(send, self._cookie(scope)))

    def _is_ours(self, authority: str, *, default: int) -> bool:
        """Whether a Host names this dashboard: a loopback address or name with our port; beyond loopback, the port."""
        try:
            parts = urlsplit(f"//{authority}")
            host, port = parts.hostname, parts.port or default
        except ValueError:
            return False
        if host is None or port != self._port or parts.username is not None:
            return False
        return self._names is None or host in self._names or is_loopback(host)

    def _is_same_origin(self, headers: MutableMapping[str, str]) -> bool:
        try:
            origin = urlsplit(headers["origin"])
        except ValueError:
            return False
        return origin.scheme in {"http", "https"} and origin.netloc == headers.get("host")

    def _knows_token(self, scope: Scope, headers: MutableMapping[str, str]) -> bool:
        given = [*_query(scope).get("token", ())]
        given += [headers["authorization"][7:]] if headers.get("authorization", "").startswith("Bearer ") else []
        given += _cookies(headers.get("cookie", ""))
        return any(self._matches(each) for each in given)

    def _matches(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), (self._token or "").encode())

    def _cookie(self, scope: Scope) -> bytes | None:
        """Remember a token that came in the address."""
        if self._token is None or not any(self._matches(each) for each in _query(scope).get("token", ())):
            return None
        return f"{COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/".encode()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address or name."""
    if host in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _headers(scope: Scope) -> MutableMapping[str, str]:
    """By name; a header that must be single and is not becomes one that matches nothing."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        found[key] = f"{found[key]}, {value.decode('latin-1')}" if key in found else value.decode("latin-1")
    return found


def _cookies(header: str) -> list[str]:
    """The values of ours; of others, which browsers send to every port of a host, some are not even well-formed."""
    pairs = (each.strip().partition("=") for each in header.split(";"))
    return [value for name, _, value in pairs if name == COOKIE]


def _query(scope: Scope) -> dict[str, list[str]]:
    try:
        return parse_qs(scope.get("query_string", b"").decode("latin-1"), max_num_fields=20, errors="replace")
    except ValueError:  # more fields than any address of ours has
        return {}


def _with_headers(send: Send, cookie: bytes | None) -> Send:
    added: Iterable[tuple[bytes, bytes]] = (
        *SECURITY_HEADERS,
        *(((b"set-cookie", cookie),) if cookie is not None else ()),
    )

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            ours = {name for name, _ in SECURITY_HEADERS}
            kept = [each for each in message.get("headers", ()) if each[0].lower() not in ours]
            message["headers"] = [*kept, *added]
        await send(message)

    return sending


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, detail: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": detail})
        return
    body = f"{detail}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *SECURITY_HEADERS]})
    await send({"type": "http.response.body", "body": body})
