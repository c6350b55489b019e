"""Extended attributes in words: where a file was fetched from, which rights the system gives it, else their size."""

import plistlib
import struct

from binsafe.model.report import FILE_CAPABILITIES

_TEXTS = frozenset({"user.xdg.origin.url", "user.xdg.referrer.url"})
"""As curl and wget write them (freedesktop.org, "Common Extended Attributes")."""
_ORIGINS = frozenset({"com.apple.metadata:kMDItemWhereFroms", "user.com.apple.metadata:kMDItemWhereFroms"})
_MAX_TEXT = 1024
_MAX_ORIGINS = 64
"""Addresses of one file's origin that are looked at; browsers note two."""
_CAPABILITIES = (
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service"
    " net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin"
    " sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override"
    " mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore"
).split()
"""By number (``linux/capability.h``)."""


def describe(name: str, value: bytes) -> str:
    """What one attribute says; of those that are not known here, and of damaged ones, how many bytes it has."""
    try:
        said = _said(name, value)
    except Exception:  # noqa: BLE001 - plistlib lets all kinds through
        said = ""
    return said[:_MAX_TEXT] or f"{len(value):,} bytes"


def _said(name: str, value: bytes) -> str:
    if name in _TEXTS:
        return value.decode()
    if name in _ORIGINS:
        parts = plistlib.loads(value, fmt=plistlib.FMT_BINARY)
        return ", ".join(part[:_MAX_TEXT] for part in parts[:_MAX_ORIGINS] if isinstance(part, str) and part)
    return ", ".join(_capabilities(value)) if name == FILE_CAPABILITIES else ""


def _capabilities(value: bytes) -> list[str]:
    """``vfs_cap_data``: a version with flags, then a word of permitted and one of inheritable rights, for 32 each."""
    words = struct.unpack(f"<{len(value) // 4}I", value)[1:5]
    rights = words[0] | words[1] | (words[2] | words[3]) << 32
    numbers = [number for number in range(64) if rights >> number & 1]
    return [f"cap_{_CAPABILITIES[n]}" if n < len(_CAPABILITIES) else f"capability {n}" for n in numbers]
