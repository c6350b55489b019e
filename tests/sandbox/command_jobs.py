"""Everyday commands, each with a job in a small folder and with what a user grants for it."""

from pathlib import Path
from typing import Any, NamedTuple

READ, WRITE = "--read {d}", "--write {d}"
_PYTHON = Path("/usr/bin/python3").resolve().name
GIT = "--env GIT_AUTHOR_DATE=@1700000000+0000 --env GIT_COMMITTER_DATE=@1700000000+0000 --env HOME={d}"


class Job(NamedTuple):
    """A command line, {d} being its folder, and what a user grants for it."""

    command: tuple[str, ...]
    granted: str = READ
    varies: bool = False
    """It makes something new each time (a key): only the names in the folder and the status are compared."""
    tries: bool = False
    """It looks for more than it needs (the folder that it was started in, another program), so that denials are named:
    what it says of errors is not compared."""
    expected: str = ""
    """A word that what it prints must have: that the program without the sandbox did do the job."""


def job(command: str, *last: str, granted: str = READ, **how: Any) -> Job:
    return Job((*command.split(), *last), granted, **how)


QUICK = {
    "sort": job("sort {d}/fruit", expected="apple\npear"),
    "cat by a link's name": job("cat {d}/another-name", granted="--read {d}/another-name", expected="pear"),
    "cat by a way that is a link": job(
        "cat {d}/way/deep/leaf", granted="--read {d}/way/deep/leaf --read {d}/tree/../fruit", expected="leaf"
    ),
    "cat by a link in a granted folder": job(
        "cat {d}/way/deep/leaf", granted="--read {d} --read {d}/way/deep/leaf", expected="leaf"
    ),
    "a copy of cat, with what would lie beside it": job(
        "{d}/cat /usr/bin/ldd", granted="--read /usr/bin", expected="license"
    ),
    "a copy of env, which starts another of that name": job(
        "{d}/env /usr/bin/env A=1 /usr/bin/printenv A",
        granted="--exec /usr/bin/env --exec /usr/bin/printenv",
        expected="1",
    ),
    "a virtual environment's python": job(
        "env {d}/venv/bin/python -c",
        "import socket; a, b = socket.socketpair(); a.send(b'hi'); print(b.recv(9))",
        granted=f"--read {{d}} --exec /usr/bin/python3 --read /usr/lib/{_PYTHON} --pack python",
        expected="hi",
    ),
    "touch by a way that is a link": job("touch -d @0 {d}/way/new", granted="--write {d}/way"),
    "cp": job("cp -r {d}/tree {d}/copy", granted=WRITE),
}
SLOW = {
    "ls": job("ls -lgoR --time-style=+%s {d}", expected="fruit"),
    "cat": job("cat -n {d}/fruit", expected="pear"),
    "grep": job("grep -rn appl {d}", expected="apple"),
    "sed": job("sed -i s/pear/plum/ {d}/fruit", granted=WRITE, tries=True),
    "awk": job("awk", "{{ total += $1 }} END {{ print total }}", "{d}/numbers", expected="5050"),
    "find": job("find {d} -type f -size -4k -printf", "%P %s %m\n", tries=True, expected="tree/deep/leaf 5"),
    "tar": job("tar -cf - --sort=name --mtime=@0 --owner=0 --group=0 -C {d} tree", expected="ustar"),
    "tar -x": job("tar -xf {d}/some.tar -C {d}/tree", granted=WRITE),
    "tar -z": job(
        "tar -czf {d}/new.tgz -C {d} tree", granted=f"{WRITE} --exec /bin/sh --exec /usr/bin/gzip", varies=True
    ),
    "gzip": job("gzip -9n {d}/numbers", granted=WRITE),
    "bzip2": job("bzip2 -c {d}/numbers"),
    "xz": job("xz -kT2 {d}/numbers", granted=WRITE),
    "zstd": job("zstd -q {d}/numbers", granted=WRITE),
    "diff": job("diff -u --label a --label b {d}/fruit {d}/numbers", expected="-pear"),
    "cmp": job("cmp {d}/fruit {d}/numbers", expected="differ"),
    "sha256sum": job("sha256sum {d}/fruit", expected="fruit"),
    "mv": job("mv {d}/fruit {d}/tree/fruit", granted=WRITE),
    "mkdir": job("mkdir -p {d}/a/b/c", granted=WRITE),
    "rm": job("rm -r {d}/tree", granted=WRITE),
    "ln": job("ln -s fruit {d}/link", granted=WRITE),
    "touch": job("touch -d @1700000000 {d}/fruit", granted=WRITE),
    "split": job("split -l 10 {d}/numbers {d}/part-", granted=WRITE),
    "dd": job("dd if={d}/numbers of={d}/some bs=10 count=2 status=none", granted=WRITE),
    "head": job("head -n 1 {d}/fruit", expected="pear"),
    "wc": job("wc {d}/fruit", expected="2"),
    "cut": job("cut -c 2 {d}/fruit", expected="e"),
    "stat": job("stat -c", "%s %a", "{d}/fruit", expected="11 644"),
    "du": job("du -b {d}/tree", expected="tree"),
    "od": job("od -c {d}/fruit", expected="\\n"),
    "git init": job("git init -q -b main {d}/repository", granted=f"{WRITE} {GIT}", varies=True),
    "git commit": job(
        "git -C {d}/work -c user.name=n -c user.email=e@example.org commit -q -m first --allow-empty",
        granted=f"{WRITE} {GIT} --exec /usr/bin/git",
        varies=True,
        tries=True,
    ),
    "git log": job("git -c safe.directory=* -C {d}/work log --stat", granted=f"{READ} {GIT}", expected="start"),
    "sqlite3": job(
        "sqlite3 {d}/some.db", "insert into t values (43); select sum(a) from t", granted=WRITE, expected="85"
    ),
    "jq": job("jq -c .a[1:] {d}/some.json", expected="[2,3]"),
    "openssl dgst": job("openssl dgst -sha256 {d}/fruit", expected="fruit"),
    "openssl genpkey": job("openssl genpkey -algorithm ed25519 -out {d}/key.pem", granted=WRITE, varies=True),
    "ssh-keygen": job("ssh-keygen -q -t ed25519 -C c -f {d}/key -N", "", granted=WRITE, varies=True),
    "perl": job(
        "perl -MPOSIX=floor -MFile::Find -ne",
        "print floor(7.5), scalar reverse",
        "{d}/fruit",
        tries=True,
        expected="raep",
    ),
    "python3": job(
        "/usr/bin/python3 -c",
        "import json, ssl, sqlite3, ctypes, decimal, hashlib; print(json.load(open('{d}/some.json'))['a'])",
        expected="[1, 2, 3]",
    ),
    "python3 script": job("/usr/bin/python3 {d}/program.py {d}", granted=WRITE, expected="5050"),
    "node": job(
        "node -e", "console.log(JSON.parse(require('fs').readFileSync('{d}/some.json')).a.length)", expected="3"
    ),
    "bash": job(
        "bash -c",
        'while read -r line; do echo "got $line" | (cat <&0) 2>/dev/null; done < {d}/fruit; echo $?',
        granted=f"{READ} --exec /usr/bin/cat",
    ),
    "dash": job("dash {d}/script.sh {d}", granted=f"{READ} --exec /usr/bin/sort", expected="apple"),
    "make": job("make -s -C {d}/project", granted=f"{WRITE} --exec /bin/sh --exec /usr/bin/sort"),
    "curl --version": job("curl --version", granted="", expected="Protocols"),
    "curl file": job("curl -s file://{d}/fruit", expected="pear"),
    "iconv": job("iconv -f latin1 -t utf-8 {d}/latin", expected="é"),
    "date": job("date -d @1700000000", granted="--env TZ=Europe/Berlin", expected="CET"),
    "file": job("file {d}/fruit {d}/some.json {d}/some.db", expected="SQLite"),
    "readelf": job("readelf -hW /usr/bin/true", granted="--read /usr/bin/true", expected="ELF64"),
    "xargs": job("xargs -a {d}/fruit -n 1 /usr/bin/echo", granted=f"{READ} --exec /usr/bin/echo", expected="pear"),
    "env": job("env -i A=1 /usr/bin/printenv A", granted="--exec /usr/bin/printenv", expected="1"),
    "expr": job("expr 6 * 7", granted="", expected="42"),
    "base64": job("base64 {d}/fruit", expected="cGVhc"),
    "patch": job("patch -s {d}/fruit {d}/some.patch", granted=WRITE),
    "tr": job("tr --version", granted="", expected="GNU"),
    "uname": job("uname -s", granted="", expected="Linux"),
    "bc": job("bc -q {d}/sum.bc", expected="42"),
    "dc": job("dc -e", "6 7 * p", granted="", expected="42"),
    "zip": job("zip -qX {d}/new.zip {d}/fruit", granted=WRITE, varies=True),
    "unzip": job("unzip -p {d}/some.zip", expected="pear"),
    "rsync": job("rsync -a {d}/tree/ {d}/copy/", granted=WRITE),
    "xmllint": job("xmllint --xpath //b/text() {d}/some.xml", expected="42"),
    "vim": job("vim -Nu NONE -es -c %s/pear/plum/ -c x {d}/fruit", granted=WRITE, tries=True),
    "ffmpeg": job("ffmpeg -v error -f lavfi -i testsrc=d=0.1:s=32x32:r=10 -f rawvideo -y {d}/film", granted=WRITE),
    "tcc": job("tcc -include stdio.h -o {d}/main {d}/main.c", granted=WRITE, tries=True),
    "as": job("as -o {d}/main.o {d}/main.s", granted=WRITE),
    "objdump": job("objdump -d /usr/bin/true", granted="--read /usr/bin/true", expected="text"),
    "comm": job("comm -12 {d}/numbers {d}/numbers", expected="1"),
    "paste": job("paste {d}/fruit {d}/fruit", expected="pear\tpear"),
    "tac": job("tac {d}/fruit", expected="apple\npear"),
    "nl": job("nl {d}/fruit", expected="pear"),
    "seq": job("seq 3", granted="", expected="3"),
    "cpio": job("cpio -t --quiet -F {d}/some.cpio", expected="fruit"),
    "column": job("column -t {d}/fruit", expected="pear"),
    "strings": job("strings {d}/fruit", expected="pear"),
    "realpath": job("realpath {d}/another-name", expected="fruit"),
    "numfmt": job("numfmt --to=iec 2048", granted="", expected="2.0K"),
    "factor": job("factor 42", granted="", expected="2 3 7"),
    "install": job("install -m 600 {d}/fruit {d}/installed", granted=WRITE),
    "m4": job("m4 {d}/fruit", expected="pear"),
    "perl -i": job("perl -pi -e s/pear/plum/ {d}/fruit", granted=WRITE, tries=True),
    "git diff": job("git -C {d} diff --no-index --no-color fruit numbers", granted=f"{READ} {GIT}", expected="-pear"),
    "sqlite3 dump": job("sqlite3 {d}/some.db .dump", granted=WRITE, expected="INSERT"),
    "gpgv": job("gpgv --version", granted="", expected="gpgv"),
    # what lies beside them in folders of their packages
    "gs": job("gs -q -dNOPAUSE -dBATCH -sDEVICE=txtwrite -sOutputFile=- {d}/page.ps", tries=True, expected="hello"),
    "php": job("php -r", "echo strrev(trim(file('{d}/fruit')[0])), date('Y', 0);", expected="raep1970"),
    "ruby": job(
        *("ruby -e", "require 'json'; require 'digest'; puts JSON.generate(File.readlines('{d}/fruit'))"),
        tries=True,
        expected="apple",
    ),
    "tclsh": job("tclsh {d}/answer.tcl", expected="42"),
    "guile": job("guile --no-auto-compile -c", "(display (* 6 7))", granted="", expected="42"),
    "emacs": job("emacs --batch -Q --eval", "(princ (* 6 7))", granted="", tries=True, expected="42"),
    "sbcl": job("sbcl --noinform --non-interactive --no-userinit --eval", "(princ (* 6 7))", expected="42"),
    "swipl": job("swipl -q -g", "X is 6*7, write(X), halt", granted="", expected="42"),
    "units": job("units -t 1km m", granted="", expected="1000"),
    "lynx": job("lynx -dump {d}/page.html", tries=True, expected="hello"),
    "bison": job("bison -o {d}/grammar.c {d}/grammar.y", granted=f"{WRITE} --exec /usr/bin/m4"),
    "convert": job("convert {d}/dots.pbm -resize 4x4 pbm:-", expected="P4"),
    "aspell": job("aspell dump dicts", granted="", expected="en_US"),
    "sed e": job("sed -n", "1e echo hi", "{d}/fruit", granted=f"{READ} --exec /usr/bin/sh", expected="hi"),
    "nice": job("nice -n 5 /usr/bin/echo hi", granted="--exec /usr/bin/echo", expected="hi"),
    "mlr": job("mlr --icsv --ojson cat {d}/fruit", expected="apple"),
}
