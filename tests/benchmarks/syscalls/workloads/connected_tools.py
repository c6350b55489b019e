"""Command-line tools that keep keys or talk to other machines: run as `workloads.tools` are, and with a server here."""

import signal

from bench import Bench

from workloads.tools import tree


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
