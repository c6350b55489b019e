"""Which calls do real programs make, and which does the analysis name?

    python tests/benchmarks/syscalls/run.py [--only NAME ...] [--arm64] [--json] [--trace-only] [--retrace]
    python tests/benchmarks/syscalls/run.py --enforce [--user NAME] [--only NAME ...]
    python tests/benchmarks/syscalls/run.py --faults SECONDS [--seed TEXT] [--only NAME ...]

Each program is fetched by name, traced under strace while it does real work in a network of its own, and its trace is
kept in the cache folder under the program's and the workload's hash, so that the next comparison is quick. Needs root,
strace and util-linux, and qemu-user for arm64; a program that cannot be had here is named and left out.

With ``--enforce`` the same work is done under ``binsafe run``, with the filter made from the program's own list, and
compared with what comes of it without: see ``enforcing``.

With ``--faults`` the same work is done for some seconds more per program while calls fail, signals come and
surroundings are not as usual; what is called then has to be in the list as well: see ``provoking`` and ``faults``.
"""

import argparse
import contextlib
import glob
import hashlib
import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import platformdirs
from analysing import analyse
from bench import Bench, Tracer, WorkloadFailed
from enforcing import HEAD, Bare, Comparison, Done, Sandboxed, become, missing
from faults import Choice
from isolation import UNSHARE, settle
from origins import SOURCES, Rooted, Unavailable, kind
from programs import ARM64, PROGRAMS, SENT, Program
from provoking import HEAD as HEAD_OF_FAULTS
from provoking import Outcome, Provoked, provoke, summary
from qemu import Qemu
from table import Row, as_json, lines
from tracing import Strace, Trace

from binsafe.syscalls.tables import names

TRACE_SECONDS = 500
_HERE = Path(__file__).parent


def main() -> int:
    options = _options()
    cache = Path(os.environ.get("BINSAFE_TRUTH_CACHE") or platformdirs.user_cache_path("binsafe-truth"))
    if options.inside:
        return _inside(_named(options.inside), cache, options)
    chosen = [_named(name) for name in options.only] or list(ARM64 if options.arm64 else (*PROGRAMS, *SENT))
    if options.enforce:
        return _enforce([each for each in chosen if each.arch == "x86_64"], cache, options.user)
    if options.faults:
        return _provoke([each for each in chosen if each.arch == "x86_64"], cache, options)
    rows: list[Row] = []
    for program in chosen:
        _say(program.name)
        try:
            path = program.origin.file(cache)
            traced = _trace(program, path, cache, again=options.retrace)
        except (Unavailable, WorkloadFailed, subprocess.TimeoutExpired) as error:
            _say(f"{program.name} left out: {error}")
            continue
        if options.trace_only:
            print(f"{program.name:16} {len(traced.calls):4} calls: {' '.join(sorted(traced.calls))}", flush=True)
            continue
        loads = _loads(program)
        row = Row(
            program.name,
            kind(path),
            traced,
            analyse(path, loads, root=_root(program, cache), warm=not options.no_warm),
        )
        rows.append(row)
        if row.missed:
            _say(f"  misses {' '.join(row.missed)}")
        if row.refuted:
            _say(f"  is wrong about {' '.join(row.refuted)}")
    if rows:
        print(as_json(rows) if options.json else "\n".join(lines(rows)))
    nothing_compared = not rows and not options.trace_only
    return int(nothing_compared or any(row.missed or row.refuted for row in rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these programs")
    parser.add_argument("--arm64", action="store_true", help="the programs for arm64, under qemu-user")
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    parser.add_argument("--trace-only", action="store_true", help="make the traces and print them")
    parser.add_argument("--retrace", action="store_true", help="do not use the traces that are kept")
    parser.add_argument("--no-warm", action="store_true", help="do not measure the second run")
    parser.add_argument("--enforce", action="store_true", help="the workloads under binsafe run")
    parser.add_argument("--user", metavar="NAME", help="with --enforce: as this user, who can read this Python")
    parser.add_argument("--faults", type=float, metavar="SECONDS", help="the workloads with faults, for so long each")
    parser.add_argument("--seed", default="1", metavar="TEXT", help="with --faults: draw others")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--sandboxed", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _named(name: str) -> Program:
    for program in (*PROGRAMS, *SENT, *ARM64):
        if program.name == name:
            return program
    raise SystemExit(
        f"no program {name!r}; there are: {' '.join(program.name for program in (*PROGRAMS, *SENT, *ARM64))}"
    )


def _trace(program: Program, path: Path, cache: Path, *, again: bool) -> Trace:
    """The trace kept for this very program and workload, else a new one."""
    kept = cache / "traces" / f"{program.name}-{_key(program, path)}.json"
    if again or not kept.exists():
        text = _isolated(program, cache)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(text)
    document = json.loads(kept.read_text())
    return Trace(Counter(document["calls"]), {name: set(values) for name, values in document["arguments"].items()})


def _isolated(program: Program, cache: Path, *how: str, seconds: float = TRACE_SECONDS) -> str:
    """The workload in a network of its own, under strace or as options say ``how``; what `_inside` prints.

    Raises:
        WorkloadFailed: with its last words.
    """
    done = subprocess.run(
        [*UNSHARE, sys.executable, __file__, "--inside", program.name, *how],
        env=os.environ | {"BINSAFE_TRUTH_CACHE": str(cache), "PYTHONPATH": str(_HERE.parents[2])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        raise WorkloadFailed(done.stderr.strip()[-1500:])
    return done.stdout


def _inside(program: Program, cache: Path, options: argparse.Namespace) -> int:
    """In the namespaces: do the work, print the trace."""
    settle(plain=options.bare or options.sandboxed)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background ignores, and its children do
    path = program.origin.file(cache)
    if options.faults:
        known = names(program.arch)
        choice = Choice(known, f"{options.seed} {program.name}")
        provoked = provoke(program.workload, path, Strace(known), choice, options.faults)
        print(json.dumps({"calls": provoked.calls, "runs": provoked.runs}))
        return 0
    with tempfile.TemporaryDirectory(prefix="truth-", dir="/var/tmp") as folder:
        scratch = Path(folder) / "work"
        scratch.mkdir()
        Path(folder).chmod(0o755)
        if options.user:
            path = _reachable(path, Path(folder))
            become(options.user, Path(folder))
        tracer = _tracer(program, path, scratch, cache, options)
        with contextlib.closing(Bench(path, scratch, tracer)) as bench:
            failed = _worked(program, bench)
        trace, outcomes = bench.trace(), bench.outcomes
    arguments = {name: sorted(values) for name, values in sorted(trace.arguments.items())}
    refused = {name: count for name, count in sorted(trace.refused.items()) if count}
    document = {"calls": dict(sorted(trace.calls.items())), "arguments": arguments, "refused": refused}
    print(json.dumps({**document, "outcomes": outcomes, "failed": failed}, indent=1))
    return 0


def _tracer(program: Program, path: Path, scratch: Path, cache: Path, options: argparse.Namespace) -> Tracer:
    if options.bare:
        return Bare()
    if options.sandboxed:
        return Sandboxed(
            folder=scratch, executes=(str(path), *program.executes), reads=program.reads, grants=program.grants
        )
    known = names(program.arch)
    return Strace(known) if program.arch == "x86_64" else Qemu(known, _root(program, cache))


def _reachable(path: Path, folder: Path) -> Path:
    """The program where an ordinary user can reach it: those of a cache folder are root's alone."""
    if path.is_relative_to("/usr") or path.is_relative_to("/bin"):
        return path
    copy = folder / "program" / path.name
    copy.parent.mkdir()
    shutil.copy2(path, copy)
    return copy


def _worked(program: Program, bench: Bench) -> str:
    """Why the workload could not go on in the sandbox; what it did until then counts.

    Raises:
        WorkloadFailed: it could not outside.
    """
    try:
        program.workload(bench)
    except WorkloadFailed as error:
        if not bench.confined:
            raise
        return str(error)[-300:]
    return ""


def _enforce(programs: Iterable[Program], cache: Path, user: str | None) -> int:
    """Each workload without and with the sandbox, two programs at a time; 1 if one does not pass."""
    print(HEAD, flush=True)
    compared = []
    with ThreadPoolExecutor(2) as pool:
        for outcome in pool.map(lambda program: _compare(program, cache, user), programs):
            if isinstance(outcome, str):
                _say(outcome)
                continue
            compared.append(outcome)
            print("\n".join(outcome.lines()), flush=True)
    passed = sum(each.passes for each in compared)
    print(f"{passed} of {len(compared)} pass as {user or 'root'}")
    return int(passed < len(compared))


def _compare(program: Program, cache: Path, user: str | None) -> Comparison | str:
    """What the sandbox changes; or why the program is left out."""
    try:
        path = program.origin.file(cache)
        free = _done(_isolated(program, cache, "--bare", *(("--user", user) if user else ())))
    except (Unavailable, WorkloadFailed, subprocess.TimeoutExpired) as error:
        return f"{program.name} left out: {error}"
    try:
        held = _done(_isolated(program, cache, "--sandboxed", *(("--user", user) if user else ())))
    except (WorkloadFailed, subprocess.TimeoutExpired) as error:
        held = Done((), failed=str(error)[-300:])
    lacking = {}
    if held.refused:
        lacking = missing(analyse(path, _loads(program), root=_root(program, cache), warm=False), held)
    return Comparison(program.name, free, held, lacking)


def _done(text: str) -> Done:
    document = json.loads(text)
    return Done(tuple(document["outcomes"]), document["refused"], document["calls"], document["failed"])


def _provoke(programs: Iterable[Program], cache: Path, options: argparse.Namespace) -> int:
    """Each workload with faults, beside its list; 1 if one lacks a call."""
    print(HEAD_OF_FAULTS, flush=True)
    outcomes = []
    how = ("--faults", str(options.faults), "--seed", options.seed)
    for program in programs:
        try:
            path = program.origin.file(cache)
            traced = frozenset(_trace(program, path, cache, again=False).calls)
            provoked = Provoked(**json.loads(_isolated(program, cache, *how, seconds=TRACE_SECONDS + options.faults)))
        except (Unavailable, WorkloadFailed, subprocess.TimeoutExpired) as error:
            _say(f"{program.name} left out: {error}")
            continue
        answer = analyse(path, _loads(program), warm=False)
        listed = answer.required or frozenset()
        outcomes.append(Outcome(program.name, kind(path), traced, provoked, listed, answer.complete))
        print("\n".join(outcomes[-1].lines()), flush=True)
    print("\n".join(summary(outcomes)))
    return int(any(each.missed for each in outcomes))


def _loads(program: Program) -> tuple[Path, ...]:
    return tuple(Path(match) for pattern in program.loads for match in sorted(glob.glob(pattern)))


def _root(program: Program, cache: Path) -> Path | None:
    """Where a program's libraries are, if not on this system."""
    return program.origin.root(cache) if isinstance(program.origin, Rooted) else None


def _key(program: Program, path: Path) -> str:
    """Changes with the program's bytes and with what it is made to do."""
    digest = hashlib.sha256(path.read_bytes())
    module = inspect.getmodule(program.workload)
    whole = program.workload.__name__ == "workload"
    text = inspect.getsource(module if whole and module else program.workload)
    used = [path.read_bytes() for path in sorted(SOURCES.iterdir()) if path.name in text]
    for part in (text.encode(), *used):
        digest.update(part)
    return digest.hexdigest()[:20]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
