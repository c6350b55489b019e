"""Linters, formatters and package tools written in Rust and Haskell."""

import signal
import time

from bench import Bench

from workloads.tools import tree

PYTHON = "import os, sys\nfrom x import *\ndef f(a,b = 1):\n  print( a );return  b\n" * 50
MESSAGE = b"Content-Length: %d\r\n\r\n%s"
INITIALIZE = (
    b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"processId":null,"rootUri":null,"capabilities":{}}}'
)


def session() -> bytes:
    """A language server's start and end."""
    bodies = (INITIALIZE, b'{"jsonrpc":"2.0","method":"initialized","params":{}}',
              b'{"jsonrpc":"2.0","id":2,"method":"shutdown"}',
              b'{"jsonrpc":"2.0","method":"exit"}')  # fmt: skip
    return b"".join(MESSAGE % (len(body), body) for body in bodies)


def ruff(bench: Bench) -> None:
    for name in ("a.py", "deep/b.py", "deep/er/c.py"):
        bench.write(name, PYTHON)
    bench.write("ruff.toml", 'line-length = 80\n[lint]\nselect = ["ALL"]\n')
    bench.write("bad.py", "def (:\n")
    bench.write("note.ipynb", '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    for options in (
        "check .", "check . --fix --unsafe-fixes", "format .", "format --diff .",
        "check . --output-format sarif -o out.sarif", "check --statistics .", "rule --all", "clean", "config",
        "linter", "check /nowhere", "nonsense", "check --no-cache --isolated a.py", "analyze graph .", "version",
        "check --show-files", "check --add-noqa a.py", "format --check bad.py note.ipynb",
    ):  # fmt: skip
        bench.run(*options.split())
    bench.run("format", "-", stdin=PYTHON.encode())
    bench.run("check", "--stdin-filename", "x.py", "-", stdin=PYTHON.encode())
    bench.run("server", stdin=session())
    with bench.server("check", "--watch", ".") as server:
        time.sleep(0.7)
        bench.write("a.py", "import os\n")
        time.sleep(0.7)
        server.signal(signal.SIGSTOP)
        server.signal(signal.SIGCONT)
        server.signal(signal.SIGINT)


def uv(bench: Bench) -> None:
    bench.write(
        "project/pyproject.toml", '[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = []\n'
    )
    bench.write("project/p.py", "print('hello')\n")
    common = ("--offline", "--no-progress", "--directory", "project")
    for options in (
        "venv -p /usr/bin/python3 .venv", "lock", "sync", "run p.py", "run --no-project python -c print(1)",
        "pip list", "pip freeze", "pip install nothing-here", "tree", "python list", "python find", "cache dir",
        "cache clean", "cache prune", "version", "init sub", "add nothing-here", "build", "tool list", "export",
        "nonsense", "pip check", "venv", "run sh -c exit", "tool run nothing-here", "self version",
        "pip compile pyproject.toml", "help",
    ):  # fmt: skip
        bench.run(*options.split(), *common)
    port = bench.backend()
    bench.run(
        "pip",
        "install",
        "nothing-here",
        "--index-url",
        f"http://127.0.0.1:{port}/",
        "-p",
        "project/.venv",
        UV_HTTP_TIMEOUT="3",
    )
    bench.run(
        "pip",
        "install",
        "nothing-here",
        "--index-url",
        "http://localhost:1/",
        "-p",
        "project/.venv",
        UV_HTTP_RETRIES="0",
    )
    bench.run(
        "pip",
        "install",
        "nothing-here",
        "--index-url",
        "https://nowhere.invalid/",
        "-p",
        "project/.venv",
        UV_HTTP_RETRIES="0",
    )
    with bench.server("run", "--offline", "--no-project", "python3", "-c", "import time; time.sleep(9)") as server:
        for number in (signal.SIGUSR1, signal.SIGSTOP, signal.SIGCONT, signal.SIGINT):
            server.signal(number)


def biome(bench: Bench) -> None:
    for name in ("a.ts", "deep/b.js", "c.json", "d.css"):
        bench.write(
            name,
            '{"a":   1}'
            if name.endswith("json")
            else "a{color:red}"
            if name.endswith("css")
            else "const x   = 1;\nvar y=2\n" * 40,
        )
    for options in (
        "init", "check .", "check --write --unsafe .", "format .", "format --write .", "lint .", "ci .", "rage",
        "explain noVar", "version", "nonsense", "check /nowhere", "lint --reporter=json .", "migrate", "search `x` .",
        "clean", "check --vcs-enabled=true --vcs-client-kind=git --changed .",
    ):  # fmt: skip
        bench.run(*options.split())
    bench.run("format", "--stdin-file-path=x.ts", stdin=b"const  x = 1\n")
    if bench.confined:  # a server of its own, by a unix socket, that outlives the one who started it
        return
    bench.run("lsp-proxy", stdin=session())
    bench.run("start")
    bench.run("check", "--use-server", ".")
    bench.run("stop")


def typos(bench: Bench) -> None:
    tree(bench)
    bench.write("bad.txt", "teh langauge recieve\n" * 300)
    for options in (
        ".",
        "--write-changes .",
        "--diff .",
        "--format json .",
        "--files",
        "--dump-config -",
        "--words .",
        "/nowhere",
        "--nonsense",
        "--type-list",
        "--hidden -j 1 .",
    ):
        bench.run(*options.split())
    bench.run("-", stdin=b"teh\n" * 1000)


def hadolint(bench: Bench) -> None:
    bench.write("Dockerfile", "FROM debian\nRUN cd /tmp && apt-get install x\nRUN echo `ls` | cat\nMAINTAINER x\n" * 20)
    bench.write(".hadolint.yaml", "ignored: [DL3008]\n")
    bench.write("bad", "NONSENSE\n")
    for options in (
        "Dockerfile",
        "-f json Dockerfile bad",
        "-f sarif Dockerfile",
        "/nowhere",
        "--nonsense",
        "-v",
        "-c .hadolint.yaml Dockerfile",
        "--no-fail Dockerfile bad",
        "--help",
    ):
        bench.run(*options.split())
    bench.run("-", stdin=b"FROM x:1\nRUN sudo ls\n" * 500)
    bench.run("Dockerfile", "+RTS", "-s", "-RTS")


def shellcheck(bench: Bench) -> None:
    bench.write("a.sh", "#!/bin/sh\n. ./b.sh\necho $1\nif [ $x == 1 ]; then ls | grep x; fi\n" * 30)
    bench.write("b.sh", "x=`ls`\n")
    bench.write("bad.sh", "if then (")
    for options in (
        "a.sh",
        "-x a.sh",
        "-f json a.sh b.sh bad.sh",
        "-f diff a.sh",
        "/nowhere",
        "--nonsense",
        "-V",
        "--list-optional",
        "-C always -o all a.sh",
        "-f gcc -e SC2086 a.sh",
    ):
        bench.run(*options.split())
    bench.run("-", stdin=b"#!/bin/bash\necho $x\n" * 500)
    bench.run("-s", "ksh", "-W", "3", "a.sh", LC_ALL="C", SHELLCHECK_OPTS="-a")
