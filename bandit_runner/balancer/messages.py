"""The answers that clients get, and the ids that they send. Nothing that a client or a server sent is echoed."""

from functools import cached_property, lru_cache
from http import HTTPStatus
from typing import Final

import msgspec

ID_LENGTH: Final = 24

JSON_TYPE: Final = b"application/json"


class Answer(msgspec.Struct, frozen=True, dict=True):
    """One response, but for the headers that belong to the connection."""

    status: int
    body: bytes
    headers: bytes = b""
    """Whole lines, each with its CRLF."""
    close: bool = False
    """The connection's state is not certain after this, or the client is not to go on."""
    content_type: bytes = JSON_TYPE

    @cached_property
    def usual(self) -> bytes:
        """Its bytes where nothing has to be said of the connection, as nearly always."""
        return render(self, close=False, keep_alive_1_0=False, bodiless=False)


class _IdBody(msgspec.Struct, forbid_unknown_fields=True):
    id: str


_ID_BODY: Final = msgspec.json.Decoder(_IdBody)


def read_id(body: bytes) -> str | None:
    """The id of a request: 24 ASCII letters and digits, raw or as ``{"id": "..."}``; None for anything else."""
    if len(body) != ID_LENGTH:
        try:
            body = _ID_BODY.decode(body).id.encode()
        except (msgspec.DecodeError, UnicodeError):  # UnicodeError: a lone surrogate, escaped
            return None
    # bytes.isalnum knows ASCII only, unlike str.isalnum
    return body.decode("ascii") if len(body) == ID_LENGTH and body.isalnum() else None


@lru_cache(maxsize=1024)
def played(accepted: bool, attempts: int, upstream: str) -> Answer:
    """What one id came to; ``upstream`` is the server that was asked last, "" if none was."""
    last = f"X-Upstream: {upstream}\r\n" if upstream else ""
    headers = f"X-Attempts: {attempts}\r\n{last}".encode("ascii")
    return Answer(200, b'{"status":"ok"}', headers) if accepted else Answer(502, b'{"status":"error"}', headers)


def refusal(status: int, detail: str, *, headers: str = "", close: bool = False, **more: object) -> Answer:
    """An answer that says what is wrong with the request, in words of ours."""
    body = msgspec.json.encode({"status": "error", "detail": detail, **more})
    return Answer(status, body, headers.encode("ascii"), close)


def not_allowed(allowed: str, *, close: bool = False) -> Answer:
    """405, with the methods that are (RFC 9110, section 15.5.6)."""
    return refusal(405, f"use {allowed}", headers=f"Allow: {allowed}\r\n", close=close)


def render(answer: Answer, *, close: bool, keep_alive_1_0: bool, bodiless: bool) -> bytes:
    """The bytes of a response.

    Args:
        answer: what to say.
        close: the connection ends with it.
        keep_alive_1_0: the client speaks HTTP/1.0 and asked to keep the connection, so it must be told that we do.
        bodiless: it answers HEAD: the length is that of the body, which is not sent (RFC 9110, section 9.3.2).
    """
    connection = b"Connection: close\r\n" if close else b"Connection: keep-alive\r\n" if keep_alive_1_0 else b""
    return b"%bContent-Type: %b\r\nContent-Length: %d\r\n%b%b\r\n%b" % (
        _STATUS_LINES[answer.status],
        answer.content_type,
        len(answer.body),
        answer.headers,
        connection,
        b"" if bodiless else answer.body,
    )


_STATUS_LINES: Final = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode("ascii") for s in HTTPStatus}

BAD_ID: Final = refusal(400, f"an id is exactly {ID_LENGTH} ASCII letters and digits, raw or as {{'id': '...'}}")
MALFORMED: Final = refusal(400, "this is not valid HTTP/1.1", close=True)
CUT_SHORT: Final = refusal(400, "the request ended before it was whole", close=True)
NO_HOST: Final = refusal(400, "HTTP/1.1 needs exactly one valid Host header", close=True)
CHUNKED_IN_1_0: Final = refusal(400, "HTTP/1.0 knows no Transfer-Encoding", close=True)
NO_UPGRADE: Final = refusal(400, "only HTTP/1.1 is spoken here: send no Upgrade", close=True)
NOT_FOUND: Final = refusal(404, "there is nothing here")
TOO_SLOW: Final = refusal(408, "the request did not come in time", close=True)
LENGTH_REQUIRED: Final = refusal(411, "send Content-Length or chunked", close=True)
TOO_LARGE: Final = refusal(413, "the body is too large", close=True)
HEAD_TOO_LARGE: Final = refusal(431, "the target and headers are too large", close=True)
FAULTY: Final = refusal(500, "the strategy failed; the log says how", close=True)
UNKNOWN_VERSION: Final = refusal(505, "only HTTP/1.0 and HTTP/1.1 are spoken here", close=True)
SATURATED: Final = refusal(503, "too many requests are under way", headers="Retry-After: 1\r\n")
SATURATED_CLOSE: Final = msgspec.structs.replace(SATURATED, close=True)
HEALTHY: Final = Answer(200, b'{"status":"ok"}')
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
