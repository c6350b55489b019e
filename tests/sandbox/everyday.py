"""Programs of this system under the policy that is derived for them, with what a test grants."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from binsafe import baselines
from binsafe.intake import Found, Snapshot, inspect
from binsafe.policy import Request, default_baseline, derive
from binsafe.sandbox import Order, launch


def run(program: str, *arguments: str, **granted: tuple[str, ...]) -> tuple[int, bytes, bytes]:
    """Its status, standard output and standard error; what it is denied is printed."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    with Snapshot.take(Found(program, Path(found).resolve())) as snapshot:
        report = inspect(snapshot, syscalls=False)
        policy = derive(report, baselines.load(default_baseline(report)), Request(**granted))
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            order = Order(
                policy=policy,
                program=snapshot.descriptor,
                path=snapshot.artifact.path,
                arguments=arguments,
                stdin=subprocess.DEVNULL,
                stdout=out.fileno(),
                stderr=err.fileno(),
                on_violation=print,
            )
            process = launch(order)
            try:
                status = process.wait(20)
            finally:
                process.stop(grace=0)
            out.seek(0)
            err.seek(0)
            return status, out.read(), err.read()
