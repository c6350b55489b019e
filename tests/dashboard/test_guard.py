"""A page elsewhere, a rebound name, and whoever has no token are refused; the user's own browser is not."""

import asyncio
from typing import Any

import pytest

from bandit_runner.dashboard.guard import COOKIE, SECURITY_HEADERS, Guard

PORT = 8080
OPENER = "s3cret"


def ask(
    guard: Guard, headers: dict[str, str], *, kind: str = "http", query: str = "", path: str = "/"
) -> tuple[int, dict[str, str]]:
    """The status (for a web socket 101 or its close code) and headers."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": kind,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(guard(scope, receive, send))
    first = sent[0]
    found = {name.decode(): value.decode() for name, value in first.get("headers", ())}
    return first.get("status") or first.get("code") or 101, found


async def inner(scope: Any, receive: Any, send: Any) -> None:
    del receive
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Frame-Options", b"ALLOWALL")]})
    await send({"type": "http.response.body", "body": b"secret"})


OURS = {"Host": f"127.0.0.1:{PORT}"}


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "headers",
    [
        OURS,
        {"Host": f"localhost:{PORT}"},
        {"Host": f"[::1]:{PORT}"},
        {**OURS, "Origin": f"http://127.0.0.1:{PORT}"},
        {**OURS, "Sec-Fetch-Site": "same-origin"},
        {**OURS, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_the_users_own_browser_gets_in(headers: dict[str, str], kind: str):
    assert ask(Guard(inner, port=PORT), headers, kind=kind)[0] in {200, 101}


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "evil.example"},
        {"Host": f"evil.example:{PORT}"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:9999"},
        {"Host": f"127.0.0.1.evil.example:{PORT}"},
        {"Host": f"user@127.0.0.1:{PORT}"},
        {"Host": f"192.168.1.5:{PORT}"},
        {"Host": "[::1"},
        {"Host": f"127.0.0.1:{PORT}x"},
        {**OURS, "Origin": "http://evil.example"},
        {**OURS, "Origin": f"http://localhost:{PORT}"},
        {**OURS, "Origin": "http://127.0.0.1:3000"},
        {**OURS, "Origin": "null"},
        {**OURS, "Origin": "http://["},
        {**OURS, "Origin": ""},
        {**OURS, "Origin": f"http://127.0.0.1:{PORT}.evil.example"},
        {**OURS, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
def test_strangers_stay_out(headers: dict[str, str], kind: str):
    assert ask(Guard(inner, port=PORT), headers, kind=kind)[0] in {421, 403, 1008}


def test_two_hosts_are_no_host():
    guard = Guard(inner, port=PORT)
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"host", OURS["Host"].encode()), (b"host", b"evil.example")]
    asyncio.run(guard({"type": "http", "path": "/", "headers": headers, "query_string": b""}, None, send))
    assert sent[0]["status"] == 421


def test_beyond_loopback_only_the_token_opens():
    guard = Guard(inner, port=PORT, host="0.0.0.0", token=OPENER)
    there = {"Host": f"192.168.1.5:{PORT}"}
    assert ask(guard, there)[0] == 401
    assert ask(guard, there, query="token=wrong")[0] == 401
    assert ask(guard, there, query="token=wrong" + "&token=x" * 30)[0] == 401
    assert ask(guard, {**there, "Cookie": f"{COOKIE}=wrong"})[0] == 401
    assert ask(guard, {**there, "Authorization": "Bearer s3cret"})[0] == 200
    status, headers = ask(guard, there, query="token=s3cret")
    assert status == 200
    assert "HttpOnly" in headers["set-cookie"]
    assert "SameSite=Strict" in headers["set-cookie"]
    assert ask(guard, {**there, "Cookie": headers["set-cookie"].partition(";")[0]})[0] == 200
    assert ask(guard, {**there, "Cookie": "=;=;\x00"})[0] == 401


@pytest.mark.parametrize("token", [None, "", "a;b", "a b", "\u00e9", "a\r\nSet-Cookie: b"])
def test_beyond_loopback_there_is_a_token_that_is_one(token: str | None):
    with pytest.raises(ValueError, match="token"):
        Guard(inner, port=PORT, host="0.0.0.0", token=token)


@pytest.mark.parametrize("other", ['{"x":1}', "a b", "\u00fc", '"', "=", "a[b]=1", "a@b=1", "alone"])
def test_what_other_programs_of_the_host_keep_in_cookies_shuts_nobody_out(other: str):
    guard = Guard(inner, port=PORT, host="0.0.0.0", token=OPENER)
    cookie = f"theirs={other}; {other}; {COOKIE}={OPENER}"
    assert ask(guard, {"Host": f"192.168.1.5:{PORT}", "Cookie": cookie})[0] == 200


def test_no_page_frames_us():
    headers = ask(Guard(inner, port=PORT), OURS)[1]
    for name, value in SECURITY_HEADERS:
        assert headers[name.decode()] == value.decode()
    assert "X-Frame-Options" not in headers


@pytest.mark.parametrize("path", ["/\x1b]0;yours\x07", "/a\nb", "/\x9b31m", "/\u202egnp", "/\u2028"])
def test_a_link_elsewhere_cannot_steer_the_terminal_that_the_log_is_on(path: str):
    assert ask(Guard(inner, port=PORT), OURS, path=path)[0] == 400
    assert ask(Guard(inner, port=PORT), OURS, path="/é")[0] == 200
