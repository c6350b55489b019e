"""Proof that a Go program gives the processes that it starts no attributes: that each ``syscall.SysProcAttr`` is zero.

Where such an object would have to be, if one had fields that are set (``syscall/exec_linux.go``, ``os/exec/exec.go``):

- On the heap: who makes one there names its type, and nobody does but ``os.ensurePidfd``, which sets no other field
  than that for the descriptor of the process.
- Among the program's variables: the collector's own map of them, which words hold pointers and which do not, has no
  place where the type's would fit, but for the zero one that ``syscall.forkExec`` takes in place of none.
- On the stack: what a `exec.Cmd` points to is never there, since ``Start`` lets it escape. That there is no other way
  to start a process is for the caller to show.

Values that are made through ``reflect`` from the name of a pointer's type are not considered. The layout of types and
of the module's data is that of Go 1.16 and later (``internal/abi/type.go``, ``runtime/symtab.go``; before them
``runtime/type.go``); where it is not found nothing is proved. A program that lies about it is only denied the calls
that it hides.
"""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from binsafe.formats.structure import find_all
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.decoding.code import HIGHEST_ADDRESS

_ALLOWED = frozenset({"os.ensurePidfd"})
_ZERO_ONE = frozenset({"syscall.forkExec"})
_FIRST_FIELD, _SECOND_FIELD = b"Chroot", b"Credential"
_WORD = 8
_POINTERS_AT, _KIND_AT, _MASK_AT, _FIELDS_AT, _ELEMENT_AT = 8, 23, 32, 56, 48
"""Offsets in ``abi.Type``, and behind it in ``abi.StructType`` and ``abi.PtrType``."""
_KIND, _STRUCT, _POINTER = 0x1F, 25, 22
_FIELD_SIZE = 24
_MOST = 16
"""Types and fields of those names that are looked at."""
_SCANNED_BYTES = 1 << 11
"""Bytes of memory that are searched while one instruction is decoded, roughly."""
_LARGEST = 1 << 10
"""Bytes of a SysProcAttr, at most: it has 184."""
_LOWEST_IN_MODULE, _VARIABLES = 20, 26
_AT_END = (34, 32)
"""Words of ``moduledata``: ``minpc``, ``data`` up to ``ebss``, and ``end``, behind which the maps' addresses stand: it
is nearer before Go 1.20, which put the counters of coverage between."""
_LONGEST_MAP = 1 << 24
_REPEAT, _COUNT = 0x80, 0x7F


class _Map(NamedTuple):
    """One byte for each word of memory from ``start`` on: whether it holds a pointer."""

    start: int
    words: bytes


def are_zero(program: Program) -> bool:
    """Whether all of them are."""
    types, maps = _types(program), _maps(program)
    return bool(types) and bool(maps) and all(_is_nowhere(program, one, maps) for one in types)


def _is_nowhere(program: Program, type_: int, maps: list[_Map]) -> bool:
    """Whether no object of a type is made on the heap, or is a variable."""
    if any(program.go_name(source) not in _ALLOWED for source in program.taken.naming(type_, type_ + 1)):
        return False
    if any(_kind(program, word - _ELEMENT_AT) != _POINTER for word in _holding(program, type_)):
        return False
    if _kind(program, type_) != _STRUCT:
        return False
    size, held = _number(program, type_), _number(program, type_ + _POINTERS_AT)
    if not 0 < held <= size <= _LARGEST:
        return False
    bits = program.slice.read(_number(program, type_ + _MASK_AT), -(-held // _WORD // 8))
    if len(bits) * 8 < held // _WORD:
        return False
    pattern = bytes(bits[at // 8] >> at % 8 & 1 for at in range(held // _WORD)).ljust(size // _WORD, b"\0")
    places = (one.start + _WORD * at for one in maps for at in find_all(memoryview(one.words), pattern))
    return all(_is_zero_one(program, place, size) for place in places)


def _is_zero_one(program: Program, place: int, size: int) -> bool:
    """Whether a variable is used by nothing but what takes the zero one."""
    users = {program.go_name(source) for source in program.taken.naming(place, place + size)}
    return bool(users) and users <= _ZERO_ONE and next(_holding(program, place, size), None) is None


def _types(program: Program) -> list[int]:
    """Where types stand of which the first two fields have the names of SysProcAttr's; none if too much looks so."""
    found = (field for name in _names(program, _FIRST_FIELD) for field in _holding(program, name))
    fields = list(islice(found, _MOST + 1))
    places = (word for field in fields if _is_first(program, field) for word in _holding(program, field))
    types = [word - _FIELDS_AT for word in islice(places, _MOST + 1) if word >= _FIELDS_AT]
    return types if max(len(fields), len(types)) <= _MOST else []


def _is_first(program: Program, field: int) -> bool:
    following = _number(program, field + _FIELD_SIZE)
    length_and_text = program.slice.read(following + 1, len(_SECOND_FIELD) + 2).removeprefix(b"\0")
    return length_and_text[1 : len(_SECOND_FIELD) + 1] == _SECOND_FIELD


def _holding(program: Program, address: int, size: int = 1) -> Iterator[int]:
    """The words of memory that hold an address, or one of the ``size`` from there on."""
    program.decoder.spend(program.code.loaded_size // _SCANNED_BYTES)
    return program.code.words(address, size)


def _names(program: Program, name: bytes) -> Iterator[int]:
    """Addresses of an exported ``abi.Name``: flags, never 0, the length (until Go 1.16 in two bytes), the text."""
    for segment in program.slice.segments:
        data = program.slice.data[segment.offset : segment.offset + segment.file_size]
        places = (at for at in find_all(data, bytes([len(name)]) + name) if at > 1)
        yield from (segment.address + at - (1 if data[at - 1] else 2) for at in places)


def _kind(program: Program, type_: int) -> int:
    return _number(program, type_ + _KIND_AT, 1) & _KIND


def _number(program: Program, address: int, size: int = _WORD) -> int:
    return int.from_bytes(program.slice.read(address, size), "little")


def _maps(program: Program) -> list[_Map]:
    """The maps of the initialised and of the other variables that hold pointers; none where they are not found."""
    if program.go is None:
        return []
    for place in islice(_holding(program, program.go.addresses[0]), _MOST):
        if _number(program, place + _WORD) == program.go.end:
            for end in _AT_END:
                found = _maps_of(program, place - _WORD * _LOWEST_IN_MODULE, end)
                if found:
                    return found
    return []


def _maps_of(program: Program, module: int, end: int) -> list[_Map]:
    """The maps that a module's data would name if ``end`` was at this word of it."""
    spans = [_number(program, module + _WORD * at) for at in range(_VARIABLES, end + 1)]
    tables = [_number(program, module + _WORD * at) for at in (end + 1, end + 2)]
    if spans != sorted(spans) or spans[-1] > HIGHEST_ADDRESS:
        return []
    found = [_map(program, *pair) for pair in zip((spans[0:2], spans[2:4]), tables, strict=True)]
    return [] if None in found else [one for one in found if one is not None]


def _map(program: Program, span: list[int], table: int) -> _Map | None:
    """A map as the linker packs it (``cmd/internal/gcprog``, ``runtime/mbitmap.go``); None if it is of another size."""
    start, end = span
    count = (end - start) // _WORD
    if not 0 <= count <= _LONGEST_MAP:
        return None
    data = program.slice.read(table, count // 8 + _LONGEST_MAP // 64)
    words = bytearray()
    at = 0
    while at < len(data) and data[at] and len(words) <= count:
        length, repeat = data[at] & _COUNT, data[at] & _REPEAT
        at += 1
        if not repeat:
            bits = int.from_bytes(data[at : at + -(-length // 8)], "little")
            words += bytes(bits >> bit & 1 for bit in range(length))
            at += -(-length // 8)
            continue
        if not length:
            length, at = _varint(data, at)
        times, at = _varint(data, at)
        if not 0 < length <= len(words):
            return None
        words += bytes(words[-length:]) * min(times, (count - len(words)) // length + 1)
    return _Map(start, bytes(words)) if at < len(data) and len(words) == count else None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value = shift = 0
    while at < len(data):
        value |= (data[at] & _COUNT) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < _REPEAT or shift > _LONGEST_MAP.bit_length():
            break
    return value, at
