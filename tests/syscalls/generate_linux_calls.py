"""Make ``binsafe/syscalls/linux_calls.json`` anew from the kernel lists that the PyPI package ``system-calls`` carries.

The package is needed only here, so it is no dependency; take it into a throw-away environment:

    python -m venv /tmp/calls && /tmp/calls/bin/pip install system-calls
    /tmp/calls/bin/python tests/syscalls/generate_linux_calls.py
"""

import json
from pathlib import Path

import system_calls

TARGET = Path(__file__).parents[2] / "binsafe" / "syscalls" / "linux_calls.json"


def main() -> None:
    source = system_calls.syscalls()
    tables = {arch: source.load_arch_table(arch) for arch in ("x86_64", "arm64")}
    ordered = {arch: dict(sorted(table.items(), key=lambda entry: entry[1])) for arch, table in tables.items()}
    TARGET.write_text(json.dumps({"linux": source.linux_version, "numbers": ordered}, indent=1) + "\n")


if __name__ == "__main__":
    main()
