"""Which programs are language runtimes that make code while they run, told by their name and by what they link to.

A file that only claims to be one gains memory that is writable and executable, which is no way out of the sandbox: it
loses the wall that protects it from whoever attacks it.
"""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

from binsafe.model import Report

PROGRAMS: Final = MappingProxyType(
    {
        **dict.fromkeys(("node", "nodejs", "deno", "bun"), "JavaScript"),
        **dict.fromkeys(("java", "javac", "jshell", "jar"), "Java"),
        **dict.fromkeys(("pypy", "pypy3"), "Python (PyPy)"),
        **dict.fromkeys(("luajit",), "Lua (LuaJIT)"),
        **dict.fromkeys(("dotnet", "mono"), ".NET"),
    }
)
"""Program -> the language whose compiler it carries."""

LIBRARIES: Final = MappingProxyType(
    {
        "libnode": "JavaScript",
        "libv8": "JavaScript",
        "libjvm": "Java",
        "libjli": "Java",
        "libpypy": "Python (PyPy)",
        "libluajit": "Lua (LuaJIT)",
        "libcoreclr": ".NET",
        "libmonosgen": ".NET",
    }
)
"""Beginning of a library's name -> the same."""


def compiles(report: Report) -> str | None:
    """The language that the program compiles while it runs; None where nothing says that it does."""
    name = report.artifact.path.rpartition("/")[2]
    if name in PROGRAMS:
        return PROGRAMS[name]
    linked = [library.name for each in report.slices for library in each.libraries]
    linked += (library.name for each in report.slices for library in each.resolved)
    return next((found for each in linked if (found := _language(each)) is not None), None)


def _language(library: str) -> str | None:
    stem = library.rpartition("/")[2]
    starts: Iterable[str] = (start for start in LIBRARIES if stem.startswith(start))
    return next((LIBRARIES[start] for start in starts if not stem[len(start) :][:1].isalpha()), None)
