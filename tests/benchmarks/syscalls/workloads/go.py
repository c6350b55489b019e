"""Programs written in Go: a web server, a bundler, a formatter, a runner of hooks, and the stand-in."""

import signal
import time

from bench import Bench


def caddy(bench: Bench) -> None:
    bench.write("www/index.html", "<p>hello</p>" * 1000)
    bench.write("www/big.bin", b"x" * 2_000_000)
    port, proxy, backend = bench.port(), bench.port(), bench.backend()
    site = bench.write(
        "Caddyfile",
        f"{{\n admin 127.0.0.1:{bench.port()}\n log {{\n output file {bench.folder}/log\n }}\n{_only_tcp(bench)}}}\n"
        f":{port} {{\n root * {bench.folder}/www\n encode gzip zstd\n file_server browse\n templates\n log\n}}\n"
        f"localhost:{proxy} {{\n tls internal\n reverse_proxy 127.0.0.1:{backend} unix/{bench.folder}/none.sock\n}}\n",
    )
    for command in (
        "version",
        "list-modules",
        "build-info",
        "environ",
        "hash-password --plaintext x",
        "validate",
        "adapt",
        "fmt",
        "nonsense",
        "reload",
    ):
        bench.run(*command.split())
    again = ("--retry", "3", "--retry-all-errors") if bench.confined else ()  # now and then one meets the start's end
    with bench.server("run", "--config", site, "--watch") as server:
        bench.ready(port)
        bench.ready(proxy)
        for _ in range(2):
            for path in ("/", "/big.bin", "/none", "/../x"):
                bench.get(port, path, Accept_Encoding="gzip")
            bench.get(port, "/big.bin", Range="bytes=5-10")
            bench.other("curl", "-sk", *again, "--http2", f"https://localhost:{proxy}/", "-d", "@" + str(site))
            bench.run("reload", "--config", site, "--force")
            bench.write("Caddyfile", site.read_text() + "\n")
            time.sleep(2.5 if bench.confined else 0.5)  # so long that no request meets the change
        server.signal(signal.SIGUSR1)
        server.signal(signal.SIGHUP)
        server.signal(signal.SIGSTOP)
        server.signal(signal.SIGCONT)
        server.signal(signal.SIGTERM)
    with bench.server("file-server", "--listen", f"127.0.0.1:{port}", "--root", "www") as server:
        bench.ready(port)
        bench.get(port)
        bench.run("stop")
        server.signal(signal.SIGINT)
    if bench.confined:  # no server outlives the one who started it there
        return
    bench.run("start", "--config", site)
    bench.run("stop", "--config", site)
    bench.run("trust")


def _only_tcp(bench: Bench) -> str:
    """Caddyfile options without HTTP/3, whose datagrams are refused, port 80 and certificates for the whole system."""
    options = f" servers {{\n protocols h1 h2\n }}\n http_port {bench.port()}\n skip_install_trust\n"
    return options if bench.confined else ""


def esbuild(bench: Bench) -> None:
    bench.write(
        "a.ts",
        "import {b} from './b'; import d from './d.json'; const x: number = b(d.x); console.log(x); export {x}\n" * 1,
    )
    bench.write("b.js", "export function b(n) { return n ** 2 }\n" * 1)
    bench.write("d.json", '{"x": 3}')
    bench.write("style.css", "@import './none.css'; a { color: red }")
    for options in (
        "a.ts --bundle", "a.ts --bundle --minify --sourcemap --outfile=out.js",
        "a.ts b.js --outdir=out --splitting --format=esm --bundle", "style.css --bundle", "none.ts", "--nonsense",
        "--version", "a.ts --bundle --analyze --metafile=meta.json", "a.ts --target=es5",
        "a.ts --cpuprofile=cpu --trace=trace --heap=heap",
    ):  # fmt: skip
        bench.run(*options.split())
    bench.run("--loader=ts", "--minify", stdin=b"let x: number = 1; console.log(x)\n" * 5000)
    port = bench.port()
    with bench.server("a.ts", "--bundle", "--servedir=.", f"--serve=127.0.0.1:{port}", "--outdir=out") as server:
        bench.ready(port)
        bench.get(port, "/out/a.js")
        bench.get(port, "/none")
        bench.get(port, "/")
        server.signal(signal.SIGINT)
    with bench.server("a.ts", "--bundle", "--watch=forever", "--outfile=w.js") as server:
        time.sleep(0.5)
        bench.write("b.js", "export function b(n) { return n }\n")
        time.sleep(1)
        server.signal(signal.SIGSTOP)
        server.signal(signal.SIGCONT)
        server.signal(signal.SIGTERM)
    bench.run("--service=0.0.0", "--ping", stdin=b"\x05\0\0\0hello")


def shfmt(bench: Bench) -> None:
    bench.write("a.sh", "if true;then\necho   hi\nfi\n" * 100)
    bench.write("deep/b.bash", "#!/bin/bash\nfoo() {\n a=(1 2)\n}\n")
    bench.write("bad.sh", "if then fi (")
    (bench.folder / "link.sh").symlink_to("a.sh")
    for options in (
        "-d .",
        "-l .",
        "-i 2 -ci a.sh",
        "-w .",
        "-tojson a.sh",
        "-f .",
        "bad.sh",
        "/nowhere",
        "--version",
        "-nonsense",
        "-mn a.sh",
        "-w link.sh",
    ):
        bench.run(*options.split())
    bench.run(stdin=b"echo    hi\n" * 20_000)
    bench.run("-filename", "deep/x.bash", stdin=b"a=(1)\n")


def lefthook(bench: Bench) -> None:
    bench.other("git", "init", "-q", ".")
    bench.write(".gitconfig", "[user]\n name = A\n email = a@b\n")
    bench.write("lefthook.yml", "pre-commit:\n  parallel: true\n  commands:\n    one:\n      run: echo {staged_files}\n"
        "    two:\n      run: sleep 0.3\n"
                "    bad:\n      run: exit 3\n  scripts:\n    s.sh:\n      runner: sh\n")  # fmt: skip
    bench.write(".lefthook/pre-commit/s.sh", "echo hello\n", 0o755)
    bench.write("file", "x")
    bench.other("git", "add", "-A")
    for command in (
        "install", "run pre-commit", "run pre-commit --force --verbose", "dump", "validate", "check-install",
        "version -f", "add pre-push --dirs", "run nothing", "uninstall", "nonsense", "self-update --help",
        "run pre-commit --all-files --commands one",
    ):  # fmt: skip
        bench.run(*command.split())
    bench.run("run", "pre-commit", LEFTHOOK_QUIET="summary", CI="1")
    with bench.server("run", "pre-commit") as server:
        server.signal(signal.SIGSTOP, settle=0.1)
        server.signal(signal.SIGCONT, settle=0.1)
        server.signal(signal.SIGINT)


def flakyservers(bench: Bench) -> None:
    bench.run("-h")
    bench.run("-nonsense")
    with bench.server("-truth", "truth.json", "-seed", "7") as server:
        bench.ready(6009)
        for tier in (4000, 5000, 6000):
            for number in range(10):
                for body in (b"a" * 24, b"short", b"b" * 100_000):
                    bench.get(tier + number, "/", method="POST", body=body)
        bench.get(4000)
        bench.talk(4001, b"POST / HTTP/1.1\r\n", b"broken\r\n\r\n")
        bench.run()  # its ports are taken
        server.signal(signal.SIGSTOP)
        server.signal(signal.SIGCONT)
        server.signal(signal.SIGTERM, settle=1.5)
    with bench.server() as server:
        bench.ready(4000)
        server.signal(signal.SIGQUIT)
