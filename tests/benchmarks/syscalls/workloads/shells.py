"""Shells and starters: bash, BusyBox with its applets, tini."""

import signal

from bench import Bench

from workloads.tools import tree

_REFUSED = frozenset(
    {
        *("chown", "whoami"),  # inside there is one user, whom no file names
        *("df", "free", "ps", "top", "mount", "sysctl", "dmesg", "ionice", "kill"),  # of the machine and its processes
        *("ping", "nslookup", "ifconfig", "ip", "route", "arp", "traceroute"),  # of any network but TCP
    }
)
"""Applets that the sandbox refuses by design."""


def bash(bench: Bench) -> None:
    tree(bench)
    script = bench.source("work.sh")
    bench.run(script)
    bench.run("-c", "echo $BASH_VERSION; exec ls /nowhere")
    bench.run("-i", stdin=b"echo hi\nfg\nhistory\nsleep 0.1 &\nwait\nset -o vi\nexit\n", HISTFILE="history")
    bench.run(
        "--login", "-c",
        "echo > /dev/tcp/127.0.0.1/1; echo x > /dev/udp/127.0.0.1/9; exec 3<>/dev/tcp/localhost/1; ulimit -a; "
        "echo ~nobody; "
        "select x in a b; do break; done < /dev/null; set -m; sleep 0.1 & fg; "
        "time true; read -s -t 0.1 x; compgen -u",
    )  # fmt: skip
    bench.run("--posix", "-r", "-c", "cd /")
    bench.run("-c", "if", "x")
    bench.run("/nowhere")
    with bench.server("-c", "trap 'echo int' INT; while :; do sleep 0.1; done") as server:
        server.signal(signal.SIGINT)
        server.signal(signal.SIGSTOP)
        server.signal(signal.SIGCONT)


def busybox(bench: Bench) -> None:
    tree(bench)
    for command in bench.source("applets.txt").read_text().splitlines():
        if not (bench.confined and command.split()[0] in _REFUSED):
            bench.run(*command.split(), stdin=b"tree/one.txt\n")
    bench.run("sh", bench.source("work.sh"))
    bench.run("-la", "tree", name="ls")
    bench.run("-i", stdin=b"echo hi\nsleep 0.1 &\nwait\nexit\n", name="sh")
    port = bench.port()
    with bench.server("httpd", "-f", "-v", "-p", f"127.0.0.1:{port}", "-h", "tree"):
        bench.ready(port)
        bench.get(port, "/one.txt")
        bench.get(port, "/none")
        bench.run("wget", "-q", "-O", "got", f"http://127.0.0.1:{port}/one.txt")
    with bench.server("nc", "-ll", "-p", str(port), "-e", "cat"):
        bench.ready(port)
        bench.run("nc", "-w1", "127.0.0.1", str(port), stdin=b"hello\n")
    with bench.server("sleep", "2") as server:
        server.signal(signal.SIGSTOP)
        server.signal(signal.SIGCONT)


def tini(bench: Bench) -> None:
    bench.run("--version")
    bench.run("-h")
    bench.run("--", "true")
    bench.run("-g", "-vvv", "--", "sh", "-c", "sleep 0.1 & exit 5")
    bench.run("-s", "-w", "-e", "143", "--", "sh", "-c", "(sleep 0.2 &) ; kill -TERM $$")
    if not bench.confined:  # what may not be executed is refused (EPERM) whether it is there or not
        bench.run("-p", "SIGTERM", "--", "/nonexistent")
    bench.run("-x")
    bench.run("-s", "--", "sh", "-c", "kill -TERM $PPID; sleep 1", TINI_KILL_PROCESS_GROUP="1", TINI_VERBOSITY="3")
    with bench.server("-vv", "-s", "-g", "--", "sleep", "20") as server:
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM):
            server.signal(number)


def zsh(bench: Bench) -> None:
    tree(bench)
    bench.run(bench.source("work.sh"))
    bench.run("-f", "-c", "echo $ZSH_VERSION; print -l **/*(.om[1,3]); exec ls /nowhere")
    bench.run("-i", stdin=b"echo hi\nfg\nhistory\nsleep 0.1 &\nwait\nbindkey -v\nexit\n", HISTFILE="history")
    bench.run(
        "-f", "-c",
        "for m in stat files system datetime net/tcp zpty zselect mathfunc sched regex parameter mapfile clone; "
        "do zmodload zsh/$m; done; zstat tree; ztcp 127.0.0.1 1; zpty p cat; zpty -w p hi; zpty -r p x; zpty -d p; "
        "zselect -t 10; echo $EPOCHREALTIME $(( sqrt(2) )); ulimit -a; echo ~nobody; time true; umask; "
        "coproc cat; print -p x; read -p y; read -t 0.1 z; =(true); cat =(echo x) <(echo y) > >(cat)",
    )  # fmt: skip
    bench.run("--emulate", "sh", "-c", "cd /; set -m; sleep 0.1 & fg")
    bench.run("-c", "if", "x")
    bench.run("/nowhere")
    with bench.server("-f", "-c", "trap 'echo int' INT; while :; do sleep 0.1; done") as server:
        server.signal(signal.SIGINT)
        server.signal(signal.SIGSTOP)
        server.signal(signal.SIGCONT)
