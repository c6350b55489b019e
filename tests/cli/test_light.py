"""Commands load their libraries without what no command needs, and whoever asks for that gets it."""

import subprocess
import sys

import pytest

from binsafe.cli import light
from binsafe.lazy import instead, stand_in

UNUSED = {"inspect", "ast", "platform", "urllib.parse", "ipaddress"}
SCHEMAS = {"msgspec.inspect", "msgspec._json_schema"}


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="its own modules load these")
@pytest.mark.parametrize(
    ("line", "unused"),
    [
        (["binsafe", "--help"], UNUSED | {"msgspec"}),
        (
            ["bandit_runner", "--help"],
            UNUSED | SCHEMAS | {"asyncio", "numpy", "sqlite3"},
        ),
        (
            ["binsafe", "syscalls", "/bin/true"],
            UNUSED | SCHEMAS | {"click", "decimal", "uuid", "textwrap", "numpy", "binsafe.intake.confining"},
        ),
        (
            ["binsafe", "inspect", "/bin/true", "--json"],
            UNUSED | SCHEMAS | {"click", "decimal", "uuid", "textwrap", "numpy", "tempfile", "zlib"},
        ),
    ],
)
def test_a_command_does_not_load(line: list[str], unused: set[str]):
    subprocess.run([sys.executable, "-m", *line], capture_output=True, timeout=60, check=True)  # it is known now
    traced = [sys.executable, "-X", "importtime", "-m", *line]
    done = subprocess.run(traced, capture_output=True, text=True, timeout=60, check=True)
    imported = {row.rpartition("|")[2].strip() for row in done.stderr.splitlines()}
    assert imported & {"click", "binsafe.cli.calls", "binsafe.cli.looking"}
    assert unused.isdisjoint(imported)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("import pathlib; print(pathlib.Path('/a b').as_uri())", "file:///a%20b"),
        ("import msgspec; print(msgspec.json.schema(int)['type'])", "integer"),
        ("import msgspec; print(type(msgspec.inspect.type_info(int)).__name__)", "IntType"),
        ("import click.core; print(click.core.inspect.isfunction(print))", "False"),
        ("import uuid, platform; print(platform.machine() != '')", "True"),
        ("import inspect; print(inspect.isclass(int))", "True"),
        ("import subprocess; print(subprocess.locale.getencoding() != '')", "True"),
        ("import locale; print(locale.localeconv()['decimal_point'])", "."),
    ],
)
def test_what_was_left_out_comes_when_it_is_asked_for(asked: str, said: str):
    loaded = "".join(f"light.load_{what}(); " for what in ("paths", "processes", "structs", "click"))
    code = f"from binsafe.cli import light; {loaded}{asked}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"{said}\n"


def test_who_wants_more_of_a_module_while_another_stands_in_gets_the_real_one():
    code = (
        "import sys; from binsafe.lazy import instead, stand_in\n"
        "with instead(stand_in('platform', system=lambda: 'x')):\n"
        "    import platform; print(platform.system(), platform.python_implementation() != '')\n"
        "print(sys.modules['platform'].system() != 'x')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["x", "True", "True"]


def test_what_a_module_lacks_its_stand_in_lacks():
    module = stand_in("no_such_module_at_all")
    with instead(module), pytest.raises(ModuleNotFoundError):
        _ = module.anything
    assert not hasattr(stand_in("platform"), "__path__")


@pytest.mark.parametrize("text", ["", "  One line. ", "é", "First.\n\n    Second.\n      Third.\n", "\tx", "a\tb"])
def test_texts_lose_their_indentation_as_with_inspect(text: str):
    import inspect

    assert light._unindented(text) == inspect.cleandoc(text)
