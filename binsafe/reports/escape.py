"""The one door through which text from a file reaches a terminal."""


def escape(text: str) -> str:
    r"""``text`` on one line and without power over a terminal: what is not printable becomes visible, as in ``\x1b``.

    That is everything Unicode calls a control (C0, C1), a format character (bidirectional overrides, zero width), a
    surrogate, a separator of lines or paragraphs, private or unassigned: ``str.isprintable``. A backslash that is in
    the text stays one, so what is shown is for reading, not for reading back.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else _visible(ord(c)) for c in text)


def _visible(code: int) -> str:
    if code <= 0xFF:  # Python's own three widths of escapes
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
