"""The one door through which text from a file reaches a terminal."""


def escape(text: str) -> str:
    r"""``text`` on one line and without power over a terminal: what is not printable becomes visible, as in ``\x1b``.

    That is everything Unicode calls a control (C0, C1), a format character (bidirectional overrides, zero width), a
    surrogate, a separator of lines or paragraphs, private or unassigned: ``str.isprintable``. A backslash that is in
    the text stays one, so what is shown is for reading, not for reading back.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else _visible(ord(c)) for c in text)


def shortened(text: str, most: int) -> str:
    """``text``, or its first ``most`` characters and how many it has."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def short_words(text: str, most: int) -> str:
    """``text`` with each word `shortened`: a list of a thousand names stays whole, a name of a page does not."""
    return text if len(text) <= most else " ".join(shortened(word, most) for word in text.split(" "))


def shell_word(text: str) -> str:
    r"""``text`` as one word of a POSIX shell's command line, which means the same and has no power over a terminal.

    What is not printable is left to printf(1): its octal escapes are the only ones that every shell knows.
    """
    if text.isprintable():
        import shlex

        return shlex.quote(text)
    kept = text.rstrip("\n")  # a shell drops line breaks at the end of what a command prints
    told = "".join(c if c.isprintable() and c not in "\\'%" else _octal(c) for c in kept)
    return f"\"$(printf '{told}'){text[len(kept) :]}\""


def _octal(character: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in character.encode())


def _visible(code: int) -> str:
    if code <= 0xFF:  # Python's own three widths of escapes
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
