"""What parsers load while they work is loaded before they are confined."""

import ast
import codecs
import datetime as dt
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

import binsafe
from binsafe.intake import loading
from binsafe.intake.loading import LATE

pytestmark = pytest.mark.once

_LOADED = """
import json, sys
from binsafe.intake import loading, messages
from binsafe.model import Artifact
artifact = Artifact(name="x", path="/x", size=1, sha256="0" * 64)
order = messages.Order(
    artifact=artifact, syscalls={syscalls}, listings={syscalls}, only_syscalls={only}, kept={kept}
)
loading.load(order, {head})
print(json.dumps([name for name in sys.modules]))
"""
_NAMED = """
import sys
sys.meta_path.clear()
from binsafe.signatures import certificates
found, wrong = certificates.load([bytes.fromhex("{der}")])
assert not wrong and certificates.describe(*found.values()).common_name == "Ex"
"""
_LEAN = """
import sys
from binsafe.cli import light
light.load_paths()
light.load_structs()
before = {*sys.modules}  # from Python 3.14 on, typing loads ast
from binsafe.intake import loading
loading.load_for_library()
assert not {"numpy.typing", "numpy._typing", "numpy._core._add_newdocs", "ast", "traceback"} & {*sys.modules} - before
import numpy.typing
assert numpy.typing.NDArray is not list
"""
_NEEDED = """
import sys, types
from binsafe import lazy
from binsafe.intake import loading
loading.instead = lambda *modules: lazy.instead(*(types.ModuleType(module.__name__) for module in modules))
loading.load_for_library()
import numpy.typing
assert numpy.arange(3).sum() == 3 and numpy.typing.NDArray is not list
"""
_LEFT_OUT = """
import sys
from binsafe.intake import loading
loading.load_for_library()
import numpy
assert sys.platform != "linux" or numpy.unique.__module__ == loading.__name__
left_out = [name for name in sys.argv[1:] if getattr(getattr(numpy, name), "__module__", "") == loading.__name__]
assert not left_out, left_out
"""
_PARSERS = tuple(
    f"binsafe.{name}"
    for name in ("formats", "signatures", "syscalls", "extractors", "containers", "archives", "bundles", "inspection")
)
_NOT_FOR_ELF = ("binsafe.formats.macho", "binsafe.formats.pe", "binsafe.syscalls.darwin")
_ELF = b"\x7fELF"


def _loaded(head: bytes | None, *, syscalls: bool = True, only: bool = False, kept: bytes | None = None) -> set[str]:
    text = _LOADED.format(head=head, syscalls=syscalls, only=only, kept=kept)
    return set(json.loads(subprocess.run([sys.executable, "-c", text], capture_output=True, check=True).stdout))


@pytest.mark.parametrize(
    ("syscalls", "only", "kept"),
    [(True, False, None), (False, False, None), (True, True, None), (True, False, b"x"), (True, True, b"x")],
)
@pytest.mark.parametrize("head", [_ELF, b"MZ", b"\xcf\xfa\xed\xfe", b"PK\3\4", None])
def test_no_parser_loads_a_module_later(head: bytes | None, *, syscalls: bool, only: bool, kept: bytes | None):
    loaded = _loaded(head, syscalls=syscalls, only=only, kept=kept)
    needed = {
        name
        for module in loaded
        if module.startswith(_PARSERS)
        for name in _imported_in_functions(module)
        if not any(f"{name}.".startswith(f"{late}.") for late in LATE)
    }
    missing = needed - loaded
    if head == _ELF:
        missing = {name for name in missing if not name.startswith(_NOT_FOR_ELF)}
    if not syscalls:
        missing = {name for name in missing if not name.startswith("binsafe.syscalls.decoding")}
    assert missing <= {"capstone", "compression", "compression.zstd"}  # an unusual wheel's; Python 3.14's


def test_no_parser_loads_a_codec_later():
    """A confined one cannot, and the file would be said to break it."""
    folder = Path(binsafe.__file__).parent
    places = [folder.joinpath(*name.split(".")[1:]) for name in _PARSERS]
    files = [file for place in places for file in (*place.rglob("*.py"), place.with_suffix(".py")) if file.exists()]
    named = {name for file in files for name in _codecs(ast.parse(file.read_text()))}
    assert {"cp437", "ascii", "utf-8"} <= named <= {"utf-8", *loading._CODECS, *loading._CODECS_OF_OTHERS}


@pytest.mark.parametrize("kind", [_ASN1Type.UniversalString, _ASN1Type.BMPString, _ASN1Type.T61String])
def test_names_in_certificates_take_no_codec_later(kind: _ASN1Type):
    key, day = ec.generate_private_key(ec.SECP256R1()), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ex", _type=kind)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, day, day + dt.timedelta(1))
    der = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    text = _LOADED.format(head=b"MZ", syscalls=False, only=False, kept=None) + _NAMED.format(der=der.hex())
    subprocess.run([sys.executable, "-c", text], check=True, stdout=subprocess.DEVNULL)


def test_a_program_for_linux_needs_neither_what_reads_others_nor_once_it_is_known_what_takes_code_apart():
    others = {"binsafe.archives", "binsafe.bundles", "binsafe.signatures.macho", "plistlib"}
    assert others & _loaded(_ELF) == set()
    assert others <= _loaded(b"PK\3\4")
    assert "binsafe.syscalls.engine" in _loaded(_ELF)
    assert "binsafe.syscalls.controlflow.program" not in _loaded(_ELF, kept=b"x")


def test_numpy_is_loaded_without_documentation_and_types_which_can_be_loaded_later():
    subprocess.run([sys.executable, "-c", _LEAN], check=True)


def test_a_numpy_that_needs_the_types_of_its_annotations_is_loaded_whole():
    subprocess.run([sys.executable, "-c", _NEEDED], check=True)


def test_what_is_left_out_of_numpy_is_nothing_that_parsers_use():
    texts = [path.read_text() for path in Path(binsafe.__file__).parent.rglob("*.py")]
    names = {name for text in texts for name in re.findall(r"\bnp\.(\w+)", text)}
    assert {"concatenate", "flatnonzero"} <= names
    subprocess.run([sys.executable, "-c", _LEFT_OUT, *names], check=True)


def _codecs(tree: ast.AST) -> Iterator[str]:
    """What the first argument of ``decode`` and ``encode`` may be."""
    for call in ast.walk(tree):
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr in {"decode", "encode"}
        ):
            texts = (node.value for part in call.args[:1] for node in ast.walk(part) if isinstance(node, ast.Constant))
            yield from (text for text in texts if isinstance(text, str) and _is_codec(text))


def _is_codec(name: str) -> bool:
    try:
        return bool(codecs.lookup(name))
    except LookupError:
        return False


@cache
def _imported_in_functions(name: str) -> frozenset[str]:
    return frozenset(_imports(name))


def _imports(name: str) -> Iterator[str]:
    module = sys.modules.get(name) or __import__(name, fromlist=["_"])
    assert isinstance(module, ModuleType)
    for function in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    yield node.module
                    yield from (whole for alias in node.names if _is_module(whole := f"{node.module}.{alias.name}"))


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
