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


def git(bench: Bench) -> None:
    tree(bench)
    bench.write(".gitconfig", "[user]\n name = A\n email = a@b\n[gc]\n auto = 0\n[core]\n pager = cat\n")
    bench.run("init", "repo")
    inside = ("-C", "repo")
    for number in range(3):
        bench.write(f"repo/file{number}", f"line {number}\n" * 300)
        bench.write(f"repo/.git/hooks/{'pre-commit' if number == 1 else 'post-commit'}", "#!/bin/sh\nexit 0\n", 0o755)
        bench.run(*inside, "add", "-A")
        bench.run(*inside, "commit", "-m", f"commit {number}")
    bench.write("repo/file1", "changed\n")
    for command in (
        "status", "diff --stat", "log -p --graph", "-p log", "stash", "stash pop", "branch side", "checkout side",
        "mv file0 moved", "commit -a -m side", "checkout master", "merge side -m merged", "rebase side",
        "blame file1", "tag -a v1 -m t", "gc --prune=now", "repack -a -d", "fsck", "reflog", "rm file2",
        "reset --hard", "worktree add ../work", "submodule status", "show HEAD:file1", "grep line",
        "archive --format=tar.gz -o ../a.tgz HEAD", "bundle create ../b.bundle --all",
        "format-patch -1 -o ../patches", "bisect start", "clean -fdx", "config --global x.y z", "ls-files -s",
        "cat-file --batch-check --batch-all-objects", "nonsense", "log nonexistent", "notes add -m n",
        "rev-list --all --objects", "commit-graph write", "multi-pack-index write",
        "update-index --refresh --untracked-cache", "maintenance run", "credential fill", "var GIT_EDITOR",
        "shortlog -s", "fast-export --all", "cherry-pick side", "am --abort", "fsmonitor--daemon status",
        "sparse-checkout set x",
    ):  # fmt: skip
        bench.run(*inside, *command.split())
    bench.run("clone", "--no-local", "repo", "copy")
    bench.run("clone", "--depth", "1", f"file://{bench.folder}/repo", "shallow")
    bench.run("clone", "b.bundle", "unbundled")
    bench.run("-C", "copy", "fetch", "--all", "-j2")
    bench.run("-C", "copy", "push", "origin", "HEAD:refs/heads/pushed")
    bench.run("-C", "copy", "pull", "--rebase")
    port = bench.port()
    with bench.server("daemon", "--export-all", "--base-path=.", "--listen=127.0.0.1", f"--port={port}", "--reuseaddr"):
        bench.ready(port)
        bench.run("clone", f"git://127.0.0.1:{port}/repo", "remote")
        bench.run("ls-remote", f"git://localhost:{port}/repo")
    bench.run("ls-remote", "git://127.0.0.1:1/none")
    bench.run("clone", "/nowhere", "x")


def openssl(bench: Bench) -> None:
    certificate, key = bench.certificate()
    data = bench.write("data", b"x" * 300_000)
    for command in (
        "version -a", "genrsa -out k.pem 2048", "ecparam -genkey -name prime256v1 -out e.pem",
        "list -providers -provider legacy", "enc -aes-256-cbc -pbkdf2 -pass pass:x -in data -out data.enc",
        "enc -d -aes-256-cbc -pbkdf2 -pass file:/nowhere -in data.enc", "dgst -sha256 -sign key.pem -out sig data",
        "rand -hex 16", "rand -writerand seed 4", "passwd -6 secret", "speed -seconds 1 -bytes 64 sha256",
        "x509 -in cert.pem -text", "verify -CAfile cert.pem cert.pem", "req -new -key key.pem -subj /CN=x -out r.csr",
        "nonsense", "pkcs12 -export -in cert.pem -inkey key.pem -out p.p12 -passout pass:x",
        "speed -multi 2 -seconds 1 -bytes 64 md5", "prime -generate -bits 128", "s_time -connect 127.0.0.1:1 -time 1",
        "rehash .", "cms -encrypt -in data -out c.cms cert.pem", "rsautl -nonsense", "engine -t", "fipsinstall",
        "ca -batch", "pkeyutl -sign -inkey key.pem -in sig", "md4 -provider legacy data",
    ):  # fmt: skip
        bench.run(*command.split())
    bench.run("enc", "-base64", stdin=data.read_bytes())
    port = bench.port()
    arguments = ("s_server", "-accept", f"127.0.0.1:{port}", "-cert", certificate, "-key", key, "-WWW")
    with bench.server(*arguments) as server:
        bench.ready(port)
        bench.run(
            "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost", stdin=b"GET /data HTTP/1.0\r\n\r\n"
        )
        bench.run("s_client", "-connect", f"localhost:{port}", "-tls1_2", "-showcerts", stdin=b"Q\n")
        bench.run("s_time", "-connect", f"127.0.0.1:{port}", "-time", "1", "-www", "/data")
        server.signal(signal.SIGINT)
    if not bench.confined:  # datagrams
        with bench.server("s_server", "-dtls", "-accept", str(port), "-cert", certificate, "-key", key):
            bench.run("s_client", "-dtls", "-connect", f"127.0.0.1:{port}", stdin=b"hello\n")
    with bench.server(
        "ocsp", "-port", str(port), "-index", "/dev/null", "-CA", certificate, "-rsigner", certificate, "-rkey", key
    ):
        bench.ready(port)
        bench.talk(port, b"GET / HTTP/1.0\r\n\r\n")
    bench.run("s_client", "-connect", "127.0.0.1:1")


def curl(bench: Bench) -> None:
    certificate, key = bench.certificate()
    plain, secure = bench.backend(), bench.backend(ssl_files=(certificate, key))
    upload = bench.write("upload", b"u" * 300_000)
    base = f"http://127.0.0.1:{plain}"
    for options in (
        f"{base}/", f"-v -L {base}/redirect -o out --remote-time", f"-f {base}/missing", f"-T {upload} {base}/put",
        f"-F a=@{upload} {base}/form", f"http://localhost:{plain}/ -4 --compressed",
        f"-I {base}/", f"-Z {base}/a {base}/b {base}/c", f"-k https://localhost:{secure}/ --http2",
        f"--cacert cert.pem https://localhost:{secure}/ -w %{{json}}", f"https://localhost:{secure}/",
        f"-x {base} http://example.invalid/", f"--socks5 127.0.0.1:{plain} {base}/", f"-C - {base}/ -o out",
        f"--limit-rate 100k {base}/", "file:///etc/hostname", f"file://{upload}",
        "http://127.0.0.1:1/ --retry 1 --retry-connrefused --retry-delay 1",
        "http://nowhere.invalid/ --connect-timeout 2", f"-m 1 {base}/ --keepalive-time 1 --tcp-fastopen",
        f"-b jar -c jar {base}/", "ftp://127.0.0.1:1/", f"--unix-socket /nowhere {base}/", f"-K config {base}/",
        "telnet://127.0.0.1:1", "--nonsense", "-V", "--manual", "dict://127.0.0.1:1/d",
        "smtp://127.0.0.1:1", "ldap://127.0.0.1:1", "scp://127.0.0.1:1/x", f"-d @{upload} {base}/ --trace-ascii log",
        "--dns-servers 127.0.0.1 http://x.invalid/ -m 2", f"-n --negotiate -u : {base}/",
        f"--create-dirs -O --output-dir new/dir {base}/file",
    ):  # fmt: skip
        bench.run("-s", *options.split())
    if not bench.confined:  # datagrams, and past the routes; what is sent in chunks meets an end now and then
        bench.run("-s", "tftp://127.0.0.1:1/x", "-m", "1")
        bench.run("-s", "--interface", "lo", base)
        bench.run("-s", f"http://localhost:{plain}/", "-6")
        bench.run("-N", "-T", "-", f"{base}/stream", stdin=b"s" * 100_000)
    with bench.server("-s", "-o", "/dev/null", "--limit-rate", "1k", f"{base}/") as server:
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


def ssh_keygen(bench: Bench) -> None:
    for kind in ("ed25519", "rsa", "ecdsa"):
        bench.run("-q", "-t", kind, "-N", "", "-f", f"key_{kind}")
    bench.run("-q", "-t", "ed25519", "-N", "", "-f", "key_rsa", stdin=b"n\n")
    bench.run("-p", "-P", "", "-N", "secret", "-f", "key_rsa")
    bench.run("-lv", "-f", "key_ed25519.pub")
    bench.run("-y", "-f", "key_ed25519")
    bench.run("-e", "-m", "PEM", "-f", "key_rsa.pub")
    bench.run("-A", "-f", bench.write("root/etc/ssh/x", "").parent.parent.parent)
    bench.run("-s", "key_ed25519", "-I", "me", "-n", "root", "-V", "+1d", "key_rsa.pub")
    bench.run("-s", "key_ed25519", "-I", "me", "key_ecdsa.pub")
    bench.run("-L", "-f", "key_ecdsa-cert.pub")
    bench.run("-k", "-f", "revoked", "key_rsa.pub")
    bench.run("-Q", "-f", "revoked", "key_rsa.pub")
    bench.run("-H", "-f", bench.write("known_hosts", "localhost " + (bench.folder / "key_rsa.pub").read_text()))
    bench.run("-R", "localhost", "-f", "known_hosts")
    bench.run("-F", "localhost", "-f", "known_hosts")
    bench.run("-Y", "sign", "-f", "key_ed25519", "-n", "file", "known_hosts")
    bench.run("-Y", "check-novalidate", "-n", "file", "-s", "known_hosts.sig", stdin=b"x")
    bench.run("-M", "generate", "-O", "bits=512", "moduli")
    bench.run("-D", "/nowhere.so")
    bench.run("-t", "ed25519-sk", "-N", "", "-f", "sk")
    bench.run("-f", "/nowhere", "-l")
    bench.run("--nonsense")


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


def rsync(bench: Bench) -> None:
    tree(bench).chmod(0o777)  # without a user of its own, rsync's daemon is nobody where root starts it
    bench.run("--version")
    bench.run("-aHAXS", "--numeric-ids", "tree/", "copy/")
    bench.run("-av", "--delete", "--checksum", "-z", "tree/", "copy/")
    bench.run("-a", "--sparse", "--inplace", "--progress", "--stats", "tree/", "second/")
    bench.run("--bwlimit=1000", "--partial", "--remove-source-files", "-b", "--backup-dir=old", "copy/", "second/")
    bench.run("-a", "/nowhere", "third")
    port = bench.port()
    module = f"[files]\npath = {bench.folder}/tree\nread only = false\n"
    served = f"use chroot = no\n{module}" if bench.confined else f"use chroot = yes\n{module}uid = root\ngid = root\n"
    configuration = bench.write("rsyncd.conf", served)
    options = ("--daemon", "--no-detach", f"--port={port}", "--address=127.0.0.1", f"--config={configuration}")
    with bench.server(*options):
        bench.ready(port)
        bench.run("-av", f"rsync://127.0.0.1:{port}/files/", "got/")
        bench.run(f"rsync://127.0.0.1:{port}/")
        bench.run("-a", "--delete", "got/", f"rsync://127.0.0.1:{port}/files/more/")
