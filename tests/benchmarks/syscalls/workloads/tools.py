"""Command-line tools: a few runs each, with the options that change what the kernel is asked, and with errors."""

import os
import signal
from pathlib import Path

from bench import Bench


def tree(bench: Bench) -> Path:
    """Files of many kinds to work on."""
    bench.write("tree/one.txt", "alpha\nbeta\ngamma alpha\n" * 200)
    bench.write("tree/deep/two.txt", "delta\nalpha\n")
    bench.write("tree/deep/data.bin", bytes(range(256)) * 2000)
    bench.write("tree/script.sh", "#!/bin/sh\necho hello\n", 0o755)
    links = bench.folder / "tree"
    for name, target in (("link", "one.txt"), ("dangling", "nowhere"), ("loop", "loop")):
        if not (links / name).is_symlink():
            (links / name).symlink_to(target)
    if not (links / "fifo").exists():
        os.mkfifo(links / "fifo")
        os.link(links / "one.txt", links / "hard")
        (links / "sparse").touch()
        os.truncate(links / "sparse", 1_000_000)
    return links


def ls(bench: Bench) -> None:
    tree(bench)
    for options in (
        "-la",
        "-laZ",
        "-R",
        "-i --color=always",
        "-l --time-style=full-iso",
        "-sh",
        "-d",
        "--version",
        "-S -t -u",
    ):
        bench.run(*options.split(), "tree", "/dev/null", *(() if bench.confined else ("/proc/self",)))
    bench.run("-l", "/nowhere")
    bench.run("--nonsense")
    bench.run("-C", "-w", "40", "--hyperlink=always", "/usr/bin")


def tar(bench: Bench) -> None:
    tree(bench)
    for kind in ("", "z", "J", "j"):
        bench.run(f"-c{kind}f", "a.tar", "--xattrs", "--acls", "--selinux", "-S", "tree")
        bench.run(f"-t{kind}vf", "a.tar")
        bench.write("out/keep", "")
        bench.run(f"-x{kind}vpf", "a.tar", "-C", "out", "--xattrs", "--same-owner", "--overwrite")
    bench.run("-cf", "b.tar", "--listed-incremental=snapshot", "tree")
    bench.run("-rf", "b.tar", "tree/one.txt")
    bench.run("-df", "b.tar", "tree")
    bench.run("--delete", "-f", "b.tar", "tree/one.txt")
    bench.run("-cf", "-", "--remove-files", "--checkpoint=1", "--checkpoint-action=exec=true", "out")
    bench.run("-xf", "b.tar", "--to-command=cat", "-O")
    bench.run("-cMf", "part1", "-L", "100", "-F", "/bin/false", "tree", stdin=b"n part2\n\n\n")
    bench.run("-xf", "/nowhere")
    bench.run("-xf", "tree/one.txt")


def find(bench: Bench) -> None:
    tree(bench)
    for options in (
        "-ls", "-printf %p%Y%u%g%s%T@\\n", "-L . -xtype l", "-newer tree/one.txt -size +1k", "-exec true {} ;",
        "-exec echo {} +", "-execdir true {} ;", "-user root -perm /111", "-samefile tree/hard",
        "-name *.bin -delete", "-nonsense", "-empty -readable -writable -executable", "-ok true {} ;",
    ):  # fmt: skip
        bench.run(
            *(["-L", "tree", "-xtype", "l"] if options.startswith("-L") else ["tree", *options.split()]),
            stdin=b"y\n" * 20,
        )
    bench.run("/nowhere")
    if not bench.confined:  # there is no /proc, and so no table of what is mounted
        bench.run("/proc/self", "-maxdepth", "2")
        bench.run("tree", "-fstype", "ext4")
    bench.run("tree", "-fprintf", "listing", "%f\n")
    bench.run(".", "-files0-from", "-", stdin=b"tree\0")


def grep(bench: Bench) -> None:
    tree(bench)
    for options in (
        "-r alpha", "-rn --color=always -E (a|b)+", "-P al\\w+ -r", "-c -i ALPHA -r", "-L x -r", "-z alpha -r",
        "-R -l alpha", "-r -f patterns", "-r -D read --binary-files=text alpha --exclude=fifo",
        "-o -b alpha -r --include=*.txt",
    ):  # fmt: skip
        bench.run(*options.split(), "tree/one.txt", "tree/deep", "tree/script.sh")
    bench.run("alpha", stdin=b"alpha\n" * 50_000)
    bench.run("-P", "(a+)+$", stdin=b"a" * 2000 + b"b\n")
    bench.run("alpha", "/nowhere", "tree")
    bench.run("-m1", "alpha", "tree/one.txt")
    bench.run("(", "-E", "tree/one.txt")


def sed(bench: Bench) -> None:
    tree(bench)
    bench.run("-i.bak", "s/alpha/omega/g;w written", "tree/one.txt")
    bench.run("-i", "--follow-symlinks", "s/omega/alpha/", "tree/link")
    bench.run("-n", "-E", "/a(b|l)/p;r tree/script.sh", "tree/one.txt", "tree/deep/two.txt")
    bench.run("-s", "1e date", "tree/one.txt")
    bench.run("s/x/echo hi/e", stdin=b"x\n")
    bench.run("-u", "R /dev/stdin", "tree/one.txt", stdin=b"a\nb\n")
    bench.run("--sandbox", "-z", "s/a/b/", "tree/one.txt")
    bench.run("s/(/", "/nowhere")
    bench.run("-i", "s/a/b/", "/nowhere", "tree")


def awk(bench: Bench) -> None:
    tree(bench)
    programs = (
        '{ n[$1]++ } END { for (k in n) print k, n[k] | "sort"; close("sort") }',
        'BEGIN { "date" | getline d; print d; system("true") }',
        'BEGIN { while ((getline l < "tree/one.txt") > 0) c++; print c, ENVIRON["HOME"] }',
        'BEGIN { srand(); print rand(), toupper("a"); printf "%5.2f\\n", 3 > "/dev/stderr"; print "x" > "written" }',
        '{ gsub(/al/, "AL"); print substr($0, 2) >> "appended" } END { fflush(); exit 3 }',
        'BEGIN { while (i++ < 200000) s = s "x"; print length(s) }',
        "BEGIN { print 1/0 }",
        "{ nonsense(",
    )
    for program in programs:
        bench.run(program, "tree/one.txt", "tree/deep/two.txt")
    bench.run("{ print }", "/nowhere", stdin=b"")
    bench.run("-f", bench.write("p.awk", "{ print NF }"), stdin=b"a b c\n" * 10_000)


def jq(bench: Bench) -> None:
    data = bench.write("data.json", '{"a": [1, 2, {"b": null}], "t": "2015-03-05T23:51:47Z"}' * 500)
    for program in (
        ".", ".a[2]", '[.a[] | tostring] | join(",")', ".t | fromdate | todate | now", "env.HOME", "input",
        "$__loc__", "[limit(5; repeat(1))]", 'test("a")', ".a | error", "nonsense(", "$ENV | keys",
        "now | localtime | mktime", "input_filename",
    ):  # fmt: skip
        bench.run(program, data)
    bench.run("-n", "--slurpfile", "x", data, "--rawfile", "y", data, "$x | length")
    bench.run("-C", "-S", "--tab", ".", stdin=data.read_bytes())
    bench.run("--stream", "--seq", "-c", ".", data)
    bench.run('include "m"; f', "-L", bench.write("lib/m.jq", "def f: 1;").parent, data)
    bench.run(".", "/nowhere")
    bench.run("-e", ".x", stdin=b"{bad")


def xz(bench: Bench) -> None:
    tree(bench)
    bench.run("-k", "-T2", "--block-size=100KiB", "-v", "tree/deep/data.bin")
    bench.run("-l", "-vv", "tree/deep/data.bin.xz")
    bench.run("-t", "-T0", "tree/deep/data.bin.xz")
    bench.run("-dk", "-f", "tree/deep/data.bin.xz")
    bench.run("-dc", "--memlimit=1MiB", "tree/deep/data.bin.xz")
    bench.run("-9e", stdin=bytes(3_000_000))
    bench.run("-d", stdin=b"not xz")
    bench.run("-z", "-f", "tree/link", "tree/sparse", "tree/fifo", "tree", "/nowhere")
    bench.run("-d", "tree/sparse.xz")
    bench.run("--format=lzma", "-c", "tree/one.txt")
    bench.run("--files=-", stdin=b"tree/one.txt\n")
    bench.run("--info-memory", "--robot")
    with bench.server("-9", "-c", "-T1", "/dev/zero") as server:
        server.signal(signal.SIGINT, settle=0.5)


def sqlite3(bench: Bench) -> None:
    tree(bench)
    bench.write("numbers.csv", "a,b\n1,2\n")
    bench.run("main.db", stdin=bench.source("work.sql").read_bytes())
    bench.run("main.db", stdin=bench.source("dots.sql").read_bytes())
    bench.run("-A", "-cf", "archive.sqlar", "tree")
    bench.run("-A", "-xf", "archive.sqlar")
    bench.run("-zip", "archive.zip", ".ar -c tree")
    bench.run("-readonly", "main.db", "SELECT count(*) FROM t")
    bench.run("-interactive", "main.db", stdin=b"SELECT 1;\n.quit\n")
    bench.run("/nowhere/x.db", "CREATE TABLE t(a)")
    bench.run("numbers.csv", "SELECT * FROM t")
    bench.run("-vfs", "unix-dotfile", "dot.db", "CREATE TABLE t(a); INSERT INTO t VALUES(1)")
    bench.run("file:main.db?mode=ro&vfs=unix-none", "SELECT 1 FROM t")


def ripgrep(bench: Bench) -> None:
    tree(bench)
    bench.write("tree/.gitignore", "*.bin\n")
    for options in (
        "alpha", "-i ALPHA -n --json", "-l alpha --hidden --follow", "--files --sort path", "-z alpha",
        "--mmap alpha", "-U a\\nb", "--stats alpha -j1", "--pre cat alpha", "-P a(?=l)", "--type-list", "(",
        "alpha /nowhere", "--files-with-matches --null x", "--sort modified alpha", "--version",
        "--multiline-dotall -U a.*g", "-c alpha --no-ignore --one-file-system", "--replace x alpha", "--debug alpha",
        "--search-zip alpha --pre-glob *.txt",
    ):  # fmt: skip
        bench.run(*options.split(), "tree/one.txt", "tree/deep", "tree/.gitignore")
    bench.run("alpha", stdin=b"alpha\n" * 10_000)
    bench.run("--files")
    with bench.server("alpha", *["/usr/share/doc"] * 20) as server:
        server.signal(signal.SIGINT, settle=0.3)
