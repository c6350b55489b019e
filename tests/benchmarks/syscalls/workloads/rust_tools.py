"""Tools written in Rust and linked with musl, as npm packages and wheels carry them."""

import signal
import time

from bench import Bench

from workloads.rust_haskell import PYTHON, session

_MONOREPO = '{"name": "root", "private": true, "packageManager": "npm@10.0.0", "workspaces": ["packages/*"]}'


def _monorepo(bench: Bench) -> None:
    bench.write("package.json", _MONOREPO)
    bench.write("package-lock.json", '{"name": "root", "lockfileVersion": 3, "packages": {}}')
    for name, needs in (("a", '{"b": "*", "x": "1.0.0"}'), ("b", '{"x": "2.0.0"}')):
        scripts = '{"build": "echo built > out.txt", "dev": "sleep 5"}'
        bench.write(
            f"packages/{name}/package.json",
            f'{{"name": "{name}", "version": "1.0.0", "dependencies": {needs}, "scripts": {scripts}}}',
        )
    bench.write(".gitconfig", "[user]\n name = A\n email = a@b\n")
    bench.other("git", "init", "-q", ".")
    bench.other("git", "add", "-A")
    bench.other("git", "commit", "-qm", "one")


def sentry_cli(bench: Bench) -> None:
    url = f"http://127.0.0.1:{bench.backend()}"
    bench.write("dist/a.js", "console.log(1)\n//# sourceMappingURL=a.js.map\n")
    bench.write("dist/a.js.map", '{"version": 3, "sources": ["a.ts"], "mappings": "AAAA", "names": []}')
    bench.other("git", "init", "-q", ".")
    reaching = ("--url", url, "--auth-token", "x", "--log-level", "debug")
    place = ("-o", "one", "-p", "two")
    for options in (
        ("--version",), ("--help",), ("info",), (*reaching, "info"), (*reaching, "organizations", "list"),
        (*reaching, "releases", "new", *place, "1.0"), (*reaching, "releases", "list", *place),
        (*reaching, "releases", "set-commits", *place, "1.0", "--local"),
        ("sourcemaps", "inject", "dist"), (*reaching, "sourcemaps", "upload", *place, "dist"),
        ("debug-files", "check", "/bin/true"), ("debug-files", "find", "-p", "."),
        (*reaching, "debug-files", "upload", *place, "/bin/true"),
        ("debug-files", "bundle-sources", "-o", "z", "/bin/true"),
        (*reaching, "send-event", "-m", "hello"), ("send-event", "-m", "hello", "--no-environ"),
        ("bash-hook",), ("completions", "bash"), ("nonsense",), (*reaching, "monitors", "run", "m", "true"),
        (*reaching, "deploys", "new", *place, "-e", "x", "1.0"), ("update",),
    ):  # fmt: skip
        bench.run(
            *options, SENTRY_DSN=f"http://x@127.0.0.1:{url.rpartition(':')[2]}/1", SENTRY_DISABLE_UPDATE_CHECK="1"
        )


def turbo(bench: Bench) -> None:
    _monorepo(bench)
    bench.write("turbo.json", '{"tasks": {"build": {"outputs": ["out.txt"], "dependsOn": ["^build"]}, '
                '"dev": {"cache": false, "persistent": true}}}')  # fmt: skip
    free = {"TURBO_TELEMETRY_DISABLED": "1", "TURBO_API": f"http://127.0.0.1:{bench.backend()}", "DO_NOT_TRACK": "1"}
    for options in (
        "--version", "--help", "run build", "run build", "run build --force --summarize --graph=g.dot",
        "run build --dry=json", "run build --filter=a --profile=p.json", "run none", "ls", "ls a", "prune a",
        "daemon start", "daemon status", "run build --daemon", "daemon stop", "daemon clean", "info", "bin",
        "query {packages{items{name}}}", "telemetry status", "unlink", "logout", "nonsense", "completion bash",
        "run build --token x --team y --remote-only", "config", "login",
    ):  # fmt: skip
        if bench.confined and options == "daemon start":  # by a unix socket, and it would stay when its starter ends
            continue
        bench.run(*options.split(), **free)
    for command in ("watch", "run"):
        with bench.server(command, "dev", **free) as server:
            time.sleep(2)
            bench.write("packages/a/new.txt", "x")
            time.sleep(1)
            server.signal(signal.SIGSTOP)
            server.signal(signal.SIGCONT)
            server.signal(signal.SIGINT)
    bench.run("daemon", "stop", **free)


def pagefind(bench: Bench) -> None:
    for number in range(40):
        words = f"words of page {number} " * 50
        bench.write(f"site/p{number}/index.html", f"<html lang=en><body><h1>{number}</h1><p>{words}</p></body></html>")
    bench.write("site/bad.html", b"\xff\xfe<p>")
    for options in (
        "--site site", "--site site --verbose -l log", "--site site --output-path out --write-playground", "--version",
        "--site /nowhere", "--nonsense", "", "--site site --force-language zh --quiet",
    ):  # fmt: skip
        bench.run(*options.split())
    if bench.confined:  # it looks for a free port itself, and each has to be granted
        return
    with bench.server("--site", "site", "--serve") as server:
        bench.ready(1414)
        for path in ("/", "/p1/", "/pagefind/pagefind.js", "/none"):
            bench.get(1414, path)
        server.signal(signal.SIGSTOP)
        server.signal(signal.SIGCONT)
        server.signal(signal.SIGINT)


def sherif(bench: Bench) -> None:
    _monorepo(bench)
    for options in (
        ".", "--fail-on-warnings", "-r root-package-manager-field .", "--fix --select highest --no-install .",
        "--fix --select lowest .", "-V", "-h", "/nowhere", "--nonsense",
    ):  # fmt: skip
        bench.run(*options.split())


def ty(bench: Bench) -> None:
    for name in ("a.py", "deep/b.py"):
        bench.write(name, PYTHON + "x: int = 'a'\n")
    bench.write("pyproject.toml", '[project]\nname = "p"\nversion = "1"\n[tool.ty.rules]\ndivision-by-zero = "warn"\n')
    for options in (
        "check", "check --output-format concise", "check --python /usr/bin/python3 a.py", "check /nowhere", "nonsense",
        "version", "explain rule", "check --add-ignore", "check --exit-zero -v", "generate-shell-completion bash",
    ):  # fmt: skip
        bench.run(*options.split())
    bench.run("server", stdin=session())
    bench.write("watched/a.py", PYTHON)  # not the folder with our log, of which each line would be a change
    with bench.server("check", "--watch", "--project", "watched") as server:
        time.sleep(1.5)
        bench.write("watched/a.py", "import os\n")
        time.sleep(1)
        server.signal(signal.SIGSTOP)
        server.signal(signal.SIGCONT)
        server.signal(signal.SIGINT)


def prek(bench: Bench) -> None:
    hook = "      - {id: %s, name: %s, entry: %s, language: %s, pass_filenames: false}\n"
    hooks = (("one", "sleep 0.3", "system"), ("bad", "false", "system"), ("words", "nonsense", "pygrep"))
    local = "".join(hook % (name, name, entry, language) for name, entry, language in hooks)
    bench.write(".pre-commit-config.yaml", f"repos:\n  - repo: local\n    hooks:\n{local}"
        "  - repo: builtin\n    hooks:\n      - id: trailing-whitespace\n      - id: check-yaml\n"
                "      - id: end-of-file-fixer\n")  # fmt: skip
    bench.write(".gitconfig", "[user]\n name = A\n email = a@b\n")
    bench.write("a.txt", "x   \nnonsense")
    bench.other("git", "init", "-q", ".")
    bench.other("git", "add", "-A")
    for options in (
        "install", "run", "run --all-files --verbose", "run one", "run none", "list", "validate-config",
        "validate-config /nowhere", "uninstall", "cache dir", "cache clean", "cache gc", "prepare-hooks", "update",
        "try-repo .", "self version", "nonsense", "--help", "run --files a.txt", "init", "run --last-commit",
    ):  # fmt: skip
        bench.run(*options.split())
    if bench.confined:  # it may end before it is interrupted
        return
    with bench.server("run", "one") as server:
        server.signal(signal.SIGSTOP, settle=0.1)
        server.signal(signal.SIGCONT, settle=0.1)
        server.signal(signal.SIGINT)


def maturin(bench: Bench) -> None:
    port = bench.backend()
    for options in (
        "new -b pyo3 one", "init -b bin", "list-python", "generate-ci github", "sdist", "build", "build -m none.toml",
        "build --target x86_64-unknown-linux-musl -i python3", "develop", "nonsense", "--version", "help build",
        "generate-ci github -m one/Cargo.toml -o ci.yml", "sdist -m one/Cargo.toml",
    ):  # fmt: skip
        bench.run(*options.split())
    wheel = bench.write("p-1-py3-none-any.whl", b"PK\5\6" + bytes(18))
    for extra in ((), ("--skip-existing", "-u", "a", "-p", "b")):
        bench.run("upload", *extra, "--repository-url", f"http://127.0.0.1:{port}/", wheel)


def zizmor(bench: Bench) -> None:
    step = "      - uses: actions/checkout@v3\n      - run: echo ${{ github.event.issue.title }}\n"
    text = f"on: pull_request_target\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n{step * 20}"
    bench.write(".github/workflows/a.yml", text)
    bench.write(".github/workflows/bad.yml", "on: [")
    bench.write("action.yml", "name: a\nruns:\n  using: composite\n  steps: []\n")
    for options in (
        ".", "--offline .", "--format sarif .", "--format json .github/workflows/a.yml", "--pedantic --no-progress .",
        "--fix=all .github/workflows/a.yml", "/nowhere", "--nonsense", "--version", "--strict-collection .",
        "--gh-token x a/b", "--completions bash",
    ):  # fmt: skip
        bench.run(*options.split())
    bench.run("-", stdin=text.encode())
    bench.run("--lsp", stdin=session())
