"""From a policy file to a filter nothing heavy is imported: that way lies between Enter and the program's start."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.each_user

HEAVY = ("yaml", "lief", "capstone", "numpy", "rich", "click")


@pytest.mark.parametrize("modules", ["binsafe.policy", "binsafe.renderers", "binsafe.renderers.seccomp"])
def test_the_launch_path_imports_nothing_heavy(modules: str):
    code = f"import sys, {modules}; print(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
