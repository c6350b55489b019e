"""One HTML page that needs nothing else: no script, no network, no other file; readable in light, dark and on paper.

The page's own policy (Content-Security-Policy) allows its one style sheet, by hash, and nothing more: even markup that
got past the escaping could load nothing and run nothing.
"""

import base64
import hashlib
import html
from collections.abc import Iterable
from importlib.resources import files

from binsafe.reports.escape import escape, short_words

_LONGEST = 2_000
"""Characters of one word that are shown, as in a terminal; JSON has them all."""
STYLE = files("binsafe.reports").joinpath("page.css").read_text(encoding="utf-8")
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"


def page(title: str, body: Iterable[str]) -> str:
    """A whole document; ``body`` is markup, ``title`` is not."""
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{shown(title)}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            *body,
            "</body>",
            "</html>",
            "",
        )
    )


def shown(text: str) -> str:
    """Text as markup that shows it: controls made visible, nothing with a meaning to HTML left."""
    return html.escape(escape(short_words(text, _LONGEST)), quote=True)


def element(name: str, text: str, kind: str = "") -> str:
    """An element around text; ``kind`` is its class. Its direction is its own, whatever script the text is in."""
    attribute = f' class="{kind}"' if kind else ""
    return f'<{name}{attribute} dir="auto">{shown(text)}</{name}>'
