"""Apple's disk images (UDIF), which begin with what is packed in them: only their end shows what they are."""

TAIL_BYTES = 512
_END = b"koly\0\0\0\4\0\0\2\0"
"""How that end begins: magic, version, and how long it is."""


def is_disk_image(tail: bytes | memoryview) -> bool:
    """Whether the last 512 bytes, or more of them, are a disk image's."""
    return bytes(tail[-TAIL_BYTES:]).startswith(_END)
