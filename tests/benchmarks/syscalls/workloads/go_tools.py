"""Tools written in Go as npm packages carry them: compilers, linters, command lines of services."""

import signal
import time

from bench import Bench

from workloads.rust_haskell import session

TYPESCRIPT = "import {b} from './b';\nexport const x: number = b('1');\nlet y: string = 1;\nasync function f() { x; }\n"


def _typescript(bench: Bench) -> None:
    bench.write("src/a.ts", TYPESCRIPT * 1)
    bench.write("src/b.ts", "export function b(n: string): Promise<number> { return Promise.resolve(+n) }\n")
    bench.write("tsconfig.json", '{"compilerOptions": {"strict": true, "outDir": "out"}, "include": ["src"]}')


def tsgo(bench: Bench) -> None:
    _typescript(bench)
    bench.write("good/c.ts", "export const c = [1, 2].map((n) => n * 2)\n")
    bench.write("good/tsconfig.json", '{"compilerOptions": {"composite": true, "outDir": "../out", "sourceMap": true}}')
    for options in (
        "", "--noEmit", "-p good", "-b good", "-b good --clean", "--showConfig", "--init", "--version", "--help",
        "src/b.ts --outFile none.js --nonsense", "-p /nowhere", "--listFiles --noEmit", "--singleThreaded --noEmit",
        "--pprofDir prof --noEmit", "--generateTrace trace --noEmit",
    ):  # fmt: skip
        bench.run(*options.split())
    bench.run("--lsp", "--stdio", stdin=session())
    with bench.server("--watch", "-p", "good") as server:
        time.sleep(1)
        bench.write("good/c.ts", "export const c = 3\n")
        time.sleep(2.5)
        server.signal(signal.SIGSTOP)
        server.signal(signal.SIGCONT)
        server.signal(signal.SIGINT)


def tsgolint(bench: Bench) -> None:
    _typescript(bench)
    for options in (
        "", "--tsconfig tsconfig.json", "--list-files", "--debug timings", "--tsconfig /nowhere", "--nonsense", "-h",
        "headless --help",
    ):  # fmt: skip
        bench.run(*options.split())
    file = bench.folder / "src/a.ts"
    rules = '[{"name": "no-floating-promises"}, {"name": "await-thenable"}]'
    request = f'{{"version": 2, "configs": [{{"file_paths": ["{file}"], "rules": {rules}}}]}}'
    bench.run("headless", stdin=request.encode())
    bench.run("headless", stdin=b"nonsense")


def buf(bench: Bench) -> None:
    bench.write("proto/a/v1/a.proto", 'syntax = "proto3";\npackage a.v1;\nmessage   A { string b = 1; }\n'
                "service S { rpc Get(A) returns (A); }\n")  # fmt: skip
    bench.write("buf.yaml", "version: v2\nmodules:\n  - path: proto\n")
    bench.write("plugin", "#!/bin/sh\ncat >/dev/null\n", 0o755)
    bench.write("buf.gen.yaml", f"version: v2\nplugins:\n  - local: {bench.folder}/plugin\n    out: gen\n")
    bench.write("bad/x.proto", "nonsense")
    port = bench.backend()
    for options in (
        "lint", "build -o image.binpb", "build -o image.json.gz", "format -d", "format -w", "ls-files", "stats",
        "breaking --against image.binpb", "generate", "export -o out", "config init -o new", "config ls-lint-rules",
        "dep update", "lint bad", "lint /nowhere", "nonsense", "--version", "registry whoami", "push",
        "convert image.binpb --type a.v1.A --from -#format=json --to x.binpb", "completion bash",
        f"curl --schema image.binpb http://127.0.0.1:{port}/a.v1.S/Get",
        f"curl --schema image.binpb -d {{}} --http2-prior-knowledge http://127.0.0.1:{port}/a.v1.S/Get",
        "breaking --against .git#branch=main", "build -o - --timeout 1ms",
    ):  # fmt: skip
        if not (bench.confined and options == "generate"):  # what it may write it may not execute
            bench.run(*options.split(), stdin=b"{}")
    bench.run("lsp", "serve", stdin=session())


def ngrok(bench: Bench) -> None:
    port, web = bench.port(), bench.port()
    bench.write("ngrok.yml", f"authtoken: x\nserver_addr: 127.0.0.1:{port}\nweb_addr: 127.0.0.1:{web}\n"
        "tunnels:\n  one:\n    proto: http\n    addr: 80\n")  # fmt: skip
    for options in (
        "version", "help", "help http", "credits", "authtoken y -config=other.yml", "http", "nonsense",
        "start none -config=ngrok.yml", "http 80 -config /nowhere", "tcp 22 -log=log.txt -region none", "update",
    ):  # fmt: skip
        bench.run(*options.split())
    for options in ("http 80 -log=stdout", "start --all -log=log.json -log-format=json", "tcp 22"):
        with bench.server(*options.split(), "-config=ngrok.yml") as server:
            time.sleep(1.5)
            bench.get(web, "/api/tunnels")
            bench.get(web, "/")
            server.signal(signal.SIGSTOP)
            server.signal(signal.SIGCONT)
            server.signal(signal.SIGINT)


def sst(bench: Bench) -> None:
    bench.write(
        "sst.config.ts", "export default $config({app() { return {name: 'a', home: 'aws'} }, async run() {}})\n"
    )
    bench.write("package.json", '{"name": "a"}')
    for options in (
        "version", "--help", "init", "deploy --stage one", "diagnostic", "unlock", "secret list", "state export",
        "shell true", "nonsense", "telemetry disable", "upgrade", "cert", "dev --mode=basic", "install",
    ):  # fmt: skip
        bench.run(*options.split(), SST_TELEMETRY_DISABLED="1")


def functions_proxy(bench: Bench) -> None:
    bench.write("function", "#!/bin/sh\nexec sleep 3\n", 0o755)
    bench.run("-h")
    bench.run("-nonsense")
    for command, timeout in (("/bin/cat", "2s"), ("/nowhere", "1s"), (str(bench.folder / "function"), "500ms")):
        bench.run("-command", command, "-event", '{"path": "/"}', "-name", "f", "-timeout", timeout)
    bench.run("-command", "/bin/true", "-working-dir", bench.folder)
    with bench.server("-command", "/bin/sleep 5", "-timeout", "6s") as server:
        for number in (signal.SIGSTOP, signal.SIGCONT, signal.SIGINT):
            server.signal(number)


def fastly(bench: Bench) -> None:
    api = f"http://127.0.0.1:{bench.backend()}"
    bench.write("site/fastly.toml", 'manifest_version = 3\nname = "a"\nlanguage = "other"\n[scripts]\nbuild = "true"\n')
    bench.write("site/bin/main.wasm", b"\0asm\1\0\0\0")
    for options in (
        "version", "--help", "config", "config --location", "auth list", "profile list", "pops", "ip-list",
        "service list", "service create --name x", "stats regions", "compute hash-files", "compute build",
        "compute validate -p none.tar.gz", "compute pack --wasm-binary bin/main.wasm", "compute deploy",
        "compute init", "compute metadata", "compute serve", "log-tail", "update", "nonsense", "whoami",
        "kv-store list --json", "tools domain status x",
    ):  # fmt: skip
        bench.run("-C", "site", *options.split(), "-i", "--token", "x", "--api", api)
        bench.run(*options.split(), "-i", "--token", "x", "--api", api)
